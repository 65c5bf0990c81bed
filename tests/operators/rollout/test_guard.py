"""What the guard takes back, and what it leaves alone."""

import random

import msgspec
import pytest

from operators.configuration.model_settings import GuardSettings
from operators.rollout import click_counts
from operators.rollout.guard import MOST_BUNDLES, SILENT_MS, SLOW_MS, Finding, Guard, is_watched
from operators.rollout.recent_lists import KEPT_MS, ListFact
from operators.rollout.rollout import Change, Rollout, promoted, rolled_back, shadowed, split
from operators.time_units import DAY_MS, MINUTE_MS
from tests.operators.rollout.test_rollout import bundle, champion

AT = 1_800_000_000_000
CHANGE = Change(AT, "somebody", "test")
BEFORE, NOW = AT - 30_000, AT + 40_000
NEW = promoted(champion(), bundle(2), CHANGE)
SPLIT = split(champion(), bundle(2), 0.2, CHANGE)


class Judge:
    """A guard, and lists that it is told of."""

    def __init__(self, rollout: Rollout) -> None:
        self.rollout, self.guard = rollout, Guard(GuardSettings())
        self.guard.begin(rollout, AT)

    def lists(
        self,
        number: int,
        count: int = 200,
        *,
        fallbacks: float = 0.0,
        empty: float = 0.0,
        delay: int = 10,
        at: int = NOW,
    ) -> None:
        for place in range(count):
            fact = ListFact(at, at - delay, place < fallbacks * count, place < empty * count)
            self.guard.on_list(bundle(number).label, fact)

    def clicks(self, number: int, rate: float, users: int = 2000) -> None:
        draw = random.Random(number)
        for user in range(users):
            for _ in range(5):
                self.guard.on_shown(bundle(number).label, f"u{user}", is_clicked=draw.random() < rate)

    def becomes(self, rollout: Rollout) -> None:
        self.rollout = rollout
        self.guard.begin(rollout, rollout.changed_at)

    def found(self, now_ms: int = NOW) -> Finding | None:
        return self.guard.finding(self.rollout, now_ms)


@pytest.mark.parametrize(("rollout", "at"), [(NEW, BEFORE), (SPLIT, NOW)], ids=["champion", "challenger"])
@pytest.mark.parametrize(("kind", "says"), [("fallbacks", "fallback lists: 50%"), ("empty", "empty lists: 50%")])
def test_a_bundle_whose_lists_are_empty_or_not_the_models_is_found(
    rollout: Rollout, at: int, kind: str, says: str
) -> None:
    judge = Judge(rollout)
    judge.lists(1, at=at)
    judge.lists(2, **{kind: 0.5})
    found = judge.found()
    assert found is not None and found.bundle == bundle(2) and says in found.why
    remedy = found.remedy(rollout, CHANGE)
    assert remedy is not None and remedy.serving == [bundle(1)]


def test_what_was_so_before_is_not_the_new_bundles_fault() -> None:
    judge = Judge(NEW)
    judge.lists(1, fallbacks=0.4, at=BEFORE)
    judge.lists(2, fallbacks=0.5)
    assert judge.found() is None


def test_a_few_lists_are_not_judged() -> None:
    judge = Judge(NEW)
    judge.lists(1, at=BEFORE)
    judge.lists(2, 99, fallbacks=1)
    assert judge.found() is None
    judge.lists(2, 1, fallbacks=1)
    assert judge.found() is not None


@pytest.mark.parametrize(("rollout", "at"), [(NEW, BEFORE), (SPLIT, NOW)], ids=["champion", "challenger"])
def test_nothing_is_judged_beside_too_few_lists(rollout: Rollout, at: int) -> None:
    """A quiet shop: 40 % of the lists are those of strangers, who have no step yet."""
    judge = Judge(rollout)
    judge.lists(2, fallbacks=0.4)
    assert judge.found() is None
    judge.lists(1, 99, at=at)
    assert judge.found() is None
    judge.lists(1, 1, at=at)
    assert judge.found() is not None


def test_an_outage_of_all_bundles_is_not_the_fault_of_the_one_with_fewer_lists() -> None:
    """The champion has its newest thousand lists after the outage already, the challenger half of its from before."""
    judge = Judge(SPLIT)
    judge.lists(1, 1000, fallbacks=1, at=NOW)
    judge.lists(2, 100, fallbacks=1, at=NOW)
    judge.lists(1, 2000, at=NOW + MINUTE_MS)
    judge.lists(2, 200, at=NOW + MINUTE_MS)
    assert judge.found(NOW + MINUTE_MS) is None


def test_what_the_champion_did_before_the_challenger_came_is_not_compared() -> None:
    judge = Judge(SPLIT)
    judge.lists(1, 2000, at=BEFORE)
    judge.lists(1, 200, fallbacks=0.5)
    judge.lists(2, 200, fallbacks=0.5)
    assert judge.found() is None


def test_a_bundle_is_slow_when_it_stays_slow() -> None:
    judge = Judge(NEW)
    judge.lists(1, delay=20, at=BEFORE)
    judge.lists(2, delay=2000)
    assert judge.found() is None
    assert judge.found(NOW + int(SLOW_MS) - 1) is None
    found = judge.found(NOW + int(SLOW_MS))
    assert found is not None and "2000 ms after its event" in found.why
    judge.lists(2, 2000, delay=20, at=NOW + 20_000)
    assert judge.found(NOW + int(SLOW_MS)) is None


def test_a_bundle_that_makes_no_lists_any_more_is_not_judged() -> None:
    judge = Judge(NEW)
    judge.lists(1, at=BEFORE)
    judge.lists(2, empty=1)
    assert judge.found(NOW + SILENT_MS + 1) is None
    assert judge.found(NOW + SILENT_MS) is not None


def test_nothing_is_watched_after_a_while_but_challengers() -> None:
    later = AT + 31 * MINUTE_MS
    assert is_watched(NEW, NOW, 30) and not is_watched(NEW, later, 30)
    assert is_watched(SPLIT, later, 30)
    assert not is_watched(None, NOW, 30)
    judge = Judge(NEW)
    judge.lists(1, at=BEFORE)
    judge.lists(2, empty=1, at=later)
    assert judge.found(later) is None


def test_a_champion_of_months_is_not_watched_because_a_shadow_or_a_split_is_new() -> None:
    later = Change(AT + 90 * DAY_MS, "somebody", "test")
    with_shadow = shadowed(NEW, bundle(3), 0.2, later)
    assert not is_watched(with_shadow, later.at + MINUTE_MS, 30)
    judge = Judge(split(with_shadow, bundle(4), 0.1, later))
    now = later.at + 10 * MINUTE_MS
    judge.lists(1, at=later.at - MINUTE_MS)
    judge.lists(2, fallbacks=0.4, at=now)
    judge.lists(4, fallbacks=0.4, at=now)
    assert judge.found(now) is None, "an outage of the scorers"


def test_the_guard_never_returns_to_a_bundle_that_it_took_back() -> None:
    judge = Judge(NEW)
    judge.lists(1, at=BEFORE)
    judge.lists(2, fallbacks=0.5)
    found = judge.found()
    assert found is not None
    back = found.remedy(judge.rollout, Change(NOW, "guard", found.why))
    assert back is not None and (back.champion, back.previous) == (bundle(1), bundle(2))
    judge.becomes(back)
    later = NOW + 2 * MINUTE_MS
    judge.lists(1, fallbacks=1, at=later)
    assert judge.found(later) is None and not is_watched(back, later, 30)
    same = Finding(bundle(1), "found by a guard that read no more than this")
    assert same.remedy(back, CHANGE) == back
    assert shadowed(back, bundle(3), 0.1, CHANGE).previous_harmed
    by_hand = rolled_back(back, CHANGE)
    assert by_hand is not None and by_hand.champion == bundle(2) and not by_hand.previous_harmed
    assert not promoted(back, bundle(3), CHANGE).previous_harmed


def test_a_challenger_that_is_clicked_less_is_found_and_one_that_is_clicked_as_often_is_not() -> None:
    judge = Judge(SPLIT)
    judge.clicks(1, 0.10)
    judge.clicks(2, 0.10)
    assert judge.found() is None
    for rate in (0.06, 0.0):
        judge = Judge(SPLIT)
        judge.clicks(1, 0.10)
        judge.clicks(2, rate)
        found = judge.found()
        assert found is not None and found.bundle == bundle(2) and "of shown items clicked" in found.why


def test_clicks_of_before_a_change_of_shares_do_not_count() -> None:
    judge = Judge(SPLIT)
    judge.clicks(1, 0.10)
    judge.clicks(2, 0.02)
    shadow = shadowed(SPLIT, bundle(3), 0.5, Change(NOW, "somebody", "a shadow changes no list"))
    judge.becomes(shadow)
    assert judge.found() is not None and judge.guard.clicks_from_ms == AT
    judge.becomes(split(shadow, bundle(2), 0.5, Change(NOW, "somebody", "test")))
    assert judge.found() is None and judge.guard.clicks_from_ms == NOW


def test_a_change_that_claims_to_be_of_the_future_holds_back_no_clicks() -> None:
    judge = Judge(SPLIT)
    judge.guard.begin(split(champion(), bundle(2), 0.3, Change(AT + 90 * DAY_MS, "", "")), NOW)
    assert judge.guard.clicks_from_ms == NOW


def test_no_bundle_takes_new_users_once_one_has_its_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the champion would keep the users who come often, and its challengers those who came later."""
    monkeypatch.setattr(click_counts, "MOST_USERS", 3)
    counts = click_counts.ClickCounts(["champion", "challenger"])
    for label, user in (("champion", "a"), ("challenger", "x"), ("champion", "b"), ("champion", "c"), ("other", "o")):
        counts.add(label, user, is_clicked=False)
    for label, user in (("champion", "d"), ("challenger", "y"), ("champion", "a"), ("challenger", "x")):
        counts.add(label, user, is_clicked=True)
    champions, challengers = counts.moments("champion"), counts.moments("challenger")
    assert champions is not None and challengers is not None and counts.moments("other") is None
    assert (champions.users, champions.x, champions.y, champions.xx, champions.xy) == (3, 4, 1, 6, 2)
    assert (challengers.users, challengers.x, challengers.y, challengers.yy) == (1, 2, 1, 1)


def test_the_lists_of_the_bundle_before_stay_for_comparison() -> None:
    first = promoted(None, bundle(2), CHANGE)
    judge = Judge(first)
    judge.lists(8, fallbacks=0.5, at=BEFORE)
    judge.lists(7, 110, at=BEFORE)
    judge.guard.begin(first, AT)
    judge.lists(2, fallbacks=0.6)
    assert judge.found() is None


def test_lists_are_kept_for_half_an_hour_and_those_before_the_champion_as_long_as_it_is_watched() -> None:
    judge = Judge(promoted(champion(), bundle(2), Change(AT, "", "")))
    judge.guard = Guard(GuardSettings(watch_minutes=120))
    judge.lists(1, at=BEFORE)
    judge.lists(1, at=AT - KEPT_MS - 60_000)
    now = AT + 2 * KEPT_MS
    judge.lists(2, at=AT)
    assert judge.found(now) is None
    judge.lists(2, fallbacks=0.5, at=now)
    found = judge.found(now)
    assert found is not None and "50% of 200" in found.why


def test_labels_without_end_do_not_fill_the_memory() -> None:
    judge = Judge(NEW)
    for number in range(100):
        judge.lists(number, 1)
    assert len(judge.guard._lists) == MOST_BUNDLES


def test_a_bundle_that_serves_no_more_is_not_taken_back_again() -> None:
    finding = Finding(bundle(2), "empty")
    assert finding.remedy(champion(), CHANGE) == champion()
    assert finding.remedy(None, CHANGE) is None


def test_a_first_champion_gives_way_to_the_submitted_bundle() -> None:
    judge = Judge(promoted(None, bundle(1), CHANGE))
    judge.lists(9, at=BEFORE)
    judge.lists(1, empty=1)
    found = judge.found()
    assert found is not None
    assert found.remedy(judge.rollout, CHANGE) is None


def test_a_record_from_before_the_guard_wrote_who_is_since_when_is_watched_from_its_newest_change() -> None:
    old = msgspec.structs.replace(NEW, champion_since=None)
    assert old.known_since == AT
    assert shadowed(old, bundle(3), 0.1, Change(NOW, "", "")).known_since == AT
