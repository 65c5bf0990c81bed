"""What the guard takes back, and what it leaves alone."""

import random

import pytest

from operators.configuration.model_settings import GuardSettings
from operators.rollout.guard import KEPT_LISTS, SLOW_MS, Finding, Guard, ListFact, is_watched
from operators.rollout.rollout import Rollout, promoted, split
from operators.time_units import MINUTE_MS
from tests.operators.rollout.test_rollout import CHANGE, bundle, champion

NOW = CHANGE.at + 10_000
NEW = promoted(champion(), bundle(2), CHANGE)
SPLIT = split(champion(), bundle(2), 0.2, CHANGE)


class Judge:
    """A guard, and lists that it is told of."""

    def __init__(self, rollout: Rollout) -> None:
        self.rollout, self.guard = rollout, Guard(GuardSettings())

    def lists(
        self, number: int, count: int = 200, *, fallbacks: float = 0.0, empty: float = 0.0, delay: int = 10
    ) -> None:
        for place in range(count):
            fact = ListFact(NOW, NOW - delay, place < fallbacks * count, place < empty * count)
            self.guard.on_list(bundle(number).label, fact)

    def clicks(self, number: int, rate: float, users: int = 2000) -> None:
        draw = random.Random(number)
        for user in range(users):
            for _ in range(5):
                positive = draw.random() < rate
                self.guard.on_example(bundle(number).label, f"u{user}", is_first=True, is_positive=positive)

    def found(self, now_ms: int = NOW) -> Finding | None:
        return self.guard.finding(self.rollout, now_ms)


@pytest.mark.parametrize("rollout", [NEW, SPLIT], ids=["champion", "challenger"])
@pytest.mark.parametrize(("kind", "says"), [("fallbacks", "fallback lists: 50%"), ("empty", "empty lists: 50%")])
def test_a_bundle_whose_lists_are_empty_or_not_the_models_is_found(rollout: Rollout, kind: str, says: str) -> None:
    judge = Judge(rollout)
    judge.lists(1)
    judge.lists(2, **{kind: 0.5})
    found = judge.found()
    assert found is not None and found.bundle == bundle(2) and says in found.why
    remedy = found.remedy(rollout, CHANGE)
    assert remedy is not None and remedy.serving == [bundle(1)]


def test_what_was_so_before_is_not_the_new_bundles_fault() -> None:
    judge = Judge(NEW)
    judge.lists(1, fallbacks=0.4)
    judge.lists(2, fallbacks=0.5)
    assert judge.found() is None


def test_a_few_lists_are_not_judged() -> None:
    judge = Judge(NEW)
    judge.lists(2, 99, fallbacks=1)
    assert judge.found() is None
    judge.lists(2, 1, fallbacks=1)
    assert judge.found() is not None, "without anything to compare it with too"


def test_a_bundle_is_slow_when_it_stays_slow() -> None:
    judge = Judge(NEW)
    judge.lists(1, delay=20)
    judge.lists(2, delay=2000)
    assert judge.found() is None
    assert judge.found(NOW + int(SLOW_MS) - 1) is None
    found = judge.found(NOW + int(SLOW_MS))
    assert found is not None and "2000 ms after its event" in found.why
    judge.lists(2, KEPT_LISTS, delay=20)
    assert judge.found(NOW + int(SLOW_MS)) is None


def test_nothing_is_watched_after_a_while_but_challengers() -> None:
    later = CHANGE.at + 31 * MINUTE_MS
    assert is_watched(NEW, NOW, 30) and not is_watched(NEW, later, 30)
    assert is_watched(SPLIT, later, 30)
    assert not is_watched(None, NOW, 30)
    judge = Judge(NEW)
    judge.lists(2, empty=1)
    assert judge.found(later) is None


def test_a_challenger_that_is_clicked_less_is_found_and_one_that_is_clicked_as_often_is_not() -> None:
    judge = Judge(SPLIT)
    judge.clicks(1, 0.10)
    judge.clicks(2, 0.10)
    assert judge.found() is None
    judge = Judge(SPLIT)
    judge.clicks(1, 0.10)
    judge.clicks(2, 0.06)
    found = judge.found()
    assert found is not None and found.bundle == bundle(2) and "of shown items clicked" in found.why


def test_clicks_of_before_a_change_do_not_count() -> None:
    judge = Judge(SPLIT)
    judge.clicks(1, 0.10)
    judge.clicks(2, 0.02)
    judge.guard.begin(split(SPLIT, bundle(2), 0.5, CHANGE))
    assert judge.found() is None


def test_the_lists_of_the_bundle_before_stay_for_comparison() -> None:
    judge = Judge(NEW)
    judge.lists(1, fallbacks=0.5)
    judge.lists(7, 10)
    judge.guard.begin(NEW)
    judge.lists(2, fallbacks=0.6)
    assert judge.found() is None


def test_a_bundle_that_serves_no_more_is_not_taken_back_again() -> None:
    finding = Finding(bundle(2), "empty")
    assert finding.remedy(champion(), CHANGE) == champion()
    assert finding.remedy(None, CHANGE) is None


def test_a_first_champion_gives_way_to_the_submitted_bundle() -> None:
    judge = Judge(champion())
    judge.lists(9)
    judge.lists(1, empty=1)
    found = judge.found()
    assert found is not None
    assert found.remedy(champion(), CHANGE) is None
