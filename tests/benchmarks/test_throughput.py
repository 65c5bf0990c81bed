"""How a drain is followed: when it ends, and what it says of it."""

import os
from itertools import chain, repeat

import pytest

from benchmarks import throughput
from benchmarks.throughput import LIMIT_SECONDS, QUIET_SECONDS, watch


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


def follow(*written: int, last: int) -> dict[str, object]:
    numbers = chain(written, repeat(last))
    return watch(lambda: next(numbers), 1000, lambda: {"job": os.getpid()}, 100)


def test_a_drain_ends_with_its_last_list(clock: Clock) -> None:
    found = follow(1000, 1000, 1020, 1040, 1070, 1095, last=1100)
    assert (found["lists"], found["lists_per_s"]) == (100, round(55 / 0.5))
    assert clock.now == 7 * 0.25


def test_bundles_that_come_seconds_apart_are_not_its_end(clock: Clock) -> None:
    seconds = int(QUIET_SECONDS * 4) - 1
    found = follow(*[1040] * seconds, *[1095] * seconds, last=1100)
    assert found["lists"] == 100
    assert "note" not in found


def test_a_drain_that_stops_early_is_said(clock: Clock) -> None:
    found = follow(1030, last=1050)
    assert found == {"lists": 50, "lists_per_s": 0.0, "note": "only 50 lists of 100 events"}
    assert clock.now < QUIET_SECONDS + 2


def test_a_slow_one_is_measured_by_what_it_did(clock: Clock) -> None:
    found = follow(*[1000 + n // 20 for n in range(2000)], last=1100)  # one list in five seconds
    assert found["lists"] == 48
    assert "cpu_s_per_1000" in found
    assert found["note"] == "only 48 lists of 100 events"
    assert LIMIT_SECONDS < clock.now < LIMIT_SECONDS + 1
