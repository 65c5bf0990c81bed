"""How a drain is followed: when it ends, and what it says of it."""

import os
from itertools import chain, repeat
from typing import Any

import pytest

from benchmarks.measuring.conditions import Check, Parts
from benchmarks.measuring.measured import NotMeasured
from benchmarks.running_stack import throughput
from benchmarks.running_stack.throughput import LIMIT_SECONDS, QUIET_SECONDS, watch


class Clock:
    """Time that only passes in sleep."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throughput, "time", clock)
    return clock


class Broken:
    """A stack that did not stay as it was."""

    def find_violations(self) -> list[str]:
        return ["the job was restarted"]


def follow(*list_counts: int, last: int, checks: tuple[Check, ...] = ()) -> dict[str, Any]:
    numbers = chain(list_counts, repeat(last))
    return watch(lambda: next(numbers), 1000, Parts(lambda: {"job": os.getpid()}, lambda: [*checks]), 100)


def unmeasured(reason: str) -> dict[str, object]:
    return {"lists_per_s": NotMeasured(reason), "cpu_s_per_1000": {"job": NotMeasured(reason)}}


def test_a_drain_ends_with_its_last_list(clock: Clock) -> None:
    result = follow(1000, 1000, 1020, 1040, 1070, 1095, last=1100)
    assert (result["lists"], result["lists_per_s"]) == (100, round(55 / 0.5))
    assert clock.now == 7 * 0.25


def test_bundles_that_come_seconds_apart_are_not_its_end(clock: Clock) -> None:
    seconds = int(QUIET_SECONDS * 4) - 1
    result = follow(*[1040] * seconds, *[1095] * seconds, last=1100)
    assert result["lists"] == 100
    assert result["lists_per_s"] > 0


def test_a_drain_without_a_list_is_not_measured(clock: Clock) -> None:
    result = follow(last=1000)
    assert result == {"lists": 0} | unmeasured("0 lists of 100 events came in 240 s")
    assert clock.now > LIMIT_SECONDS


def test_a_drain_that_stops_early_is_not_measured(clock: Clock) -> None:
    result = follow(1030, last=1050)
    assert result == {"lists": 50} | unmeasured("50 lists of 100 events came in 21 s")
    assert clock.now < QUIET_SECONDS + 2


def test_a_drain_that_stops_after_its_steady_part_is_not_measured(clock: Clock) -> None:
    assert follow(1050, last=1096) == {"lists": 96} | unmeasured("96 lists of 100 events came in 21 s")


def test_a_drain_that_is_not_done_in_time_is_not_measured(clock: Clock) -> None:
    result = follow(*[1000 + n // 20 for n in range(2000)], last=1100)  # one list in five seconds
    assert result == {"lists": 48} | unmeasured("48 lists of 100 events came in 240 s")
    assert LIMIT_SECONDS < clock.now < LIMIT_SECONDS + 1


def test_a_backlog_that_is_gone_between_two_looks_is_not_measured(clock: Clock) -> None:
    reason = "all lists came at once: the backlog is too small to be timed"
    assert follow(1100, last=1100) == {"lists": 100} | unmeasured("100 lists of 100 events came in 0 s")
    assert follow(1095, 1095, last=1100) == {"lists": 100} | unmeasured(reason)


def test_a_stack_that_did_not_stay_as_it_was_measures_nothing(clock: Clock) -> None:
    result = follow(1000, 1040, 1070, 1095, last=1100, checks=(Broken(),))
    assert result == {"lists": 100} | unmeasured("the job was restarted")
