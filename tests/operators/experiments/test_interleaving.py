import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.experiments.interleaving import Credit, Drafted, credit, preference, team_draft
from operators.experiments.statistics.confidence_sequence import MIN_USERS

A, B = [f"a{n}" for n in range(10)], [f"b{n}" for n in range(10)]
RANKING = st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True)


@given(first=RANKING, second=RANKING, size=st.integers(0, 10), seed=st.integers(0, 99))
def test_a_draft_holds_each_item_once_and_credits_both_teams_alike(
    first: list[str], second: list[str], size: int, seed: int
) -> None:
    drafted = team_draft(first, second, size, random.Random(seed))
    items = [place.item_id for place in drafted]
    assert len({*items}) == len(items) == min(size, len({*first, *second}))
    assert {*items} <= {*first, *second}
    teams = Counter(place.team for place in drafted)
    assert abs(teams["first"] - teams["second"]) <= (teams[None] == 0)  # equal where one ranking had no items left
    for team, ranking in (("first", first), ("second", second)):
        places = [ranking.index(place.item_id) for place in drafted if place.team == team]
        assert places == sorted(places)


def test_the_same_seed_drafts_the_same_list() -> None:
    assert team_draft(A, B, 10, random.Random("r1")) == team_draft(A, B, 10, random.Random("r1"))
    assert len({team_draft(A, B, 10, random.Random(seed))[0].item_id for seed in range(20)}) == 2


def test_equal_rankings_stay_as_they_are_and_either_team_may_own_a_place() -> None:
    drafts = [team_draft(A, A, 5, random.Random(seed)) for seed in range(400)]
    assert all([place.item_id for place in drafted] == A[:5] for drafted in drafts)
    first = Counter(place.team for drafted in drafts for place in drafted)
    assert abs(first["first"] / first.total() - 0.5) < 0.05


def test_a_longer_ranking_earns_nothing_for_its_length() -> None:
    """The short ranking's only item is the long one's first: whoever picks it, no team gets credit for more."""
    for seed in range(20):
        drafted = team_draft(["x"], ["x", "y", "z"], 3, random.Random(seed))
        teams = Counter(place.team for place in drafted)
        assert teams["first"] == teams["second"]


def test_credit_goes_to_the_team_that_picked_the_item() -> None:
    drafted = [Drafted("x", "first"), Drafted("y", "second"), Drafted("z", None)]
    assert credit("u1", drafted, ["y", "y", "z", "gone"]) == Credit("u1", 0, 1)


def test_a_clear_preference_is_found_on_its_side() -> None:
    lists = [Credit(f"u{n}", 0, 1) if n % 5 else Credit(f"u{n}", 2, 1) for n in range(1000)]
    found = preference(lists)
    assert (found.estimate, found.won_by_first, found.won_by_second, found.users) == (0.6, 200, 800, 1000)
    assert found.interval[0] > 0
    assert found.verdict == "the second ranking is preferred"
    turned = preference([Credit(one.user_id, one.second, one.first) for one in lists])
    assert turned.interval == pytest.approx((-found.interval[1], -found.interval[0]))
    assert turned.verdict == "the first ranking is preferred"


def test_a_ranking_that_wins_every_list_is_preferred() -> None:
    found = preference([Credit(f"u{n}", 0, 1) for n in range(5000)])
    assert found.verdict == "the second ranking is preferred" and found.interval[0] > 0.5
    assert preference([Credit(f"u{n}", 1, 0) for n in range(5000)]).interval[1] < -0.5
    few = preference([Credit(f"u{n}", 0, 1) for n in range(MIN_USERS - 1)])
    assert few.verdict == "no preference is shown so far"


def test_equal_rankings_are_called_different_in_less_than_5_percent_of_200_watched_runs() -> None:
    """Users with one to four lists each, nine of ten of them by a taste of their own."""
    rng, called = np.random.default_rng(8), 0
    for _ in range(200):
        lists = list[Credit]()
        for user in range(600):
            own = rng.random() < 0.5
            lists += [_won(f"u{user}", own if rng.random() < 0.9 else not own) for _ in range(rng.integers(1, 5))]
        looks = (preference(lists[: round(len(lists) * look / 10)]) for look in range(1, 11))
        called += any(found.interval[0] > 0 or found.interval[1] < 0 for found in looks)
    assert called / 200 < 0.05


def _won(user: str, by_second: bool) -> Credit:
    return Credit(user, int(not by_second), int(by_second))


def test_lists_of_one_user_count_as_one_user() -> None:
    found = preference([Credit("u1", 0, 1)] * 1000)
    assert (found.users, found.lists, found.interval, found.p) == (1, 1000, (-1, 1), 1)
    assert found.verdict == "no preference is shown so far"


def test_lists_without_a_credited_click_count_nothing() -> None:
    assert preference([Credit("u1", 0, 0)]).lists == 0
    assert preference([]).interval == (-1, 1)
