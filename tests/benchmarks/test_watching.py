"""The turns of `bench watching`: what runs in each drain, and what is left running."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import watching
from operators.errors import StackError
from operators.settings import Settings


class Parts:
    """A supervisor that starts and stops names."""

    def __init__(self) -> None:
        self.running = {"kafka", *watching.WATCHERS}

    def pids(self) -> dict[str, int]:
        return dict.fromkeys(self.running, 1)

    def start_part(self, name: str) -> None:
        self.running.add(name)

    def stop_part(self, name: str) -> None:
        self.running.remove(name)


def measured(
    monkeypatch: pytest.MonkeyPatch, fails_at: int = 99, stuck: tuple[int, ...] = ()
) -> tuple[Parts, list[tuple[bool, bool]], dict[str, Any]]:
    """Parts, (sensors on, monitor runs) of each drain, and what was found; watched drains cost 2 % more."""
    parts, seen = Parts(), list[tuple[bool, bool]]()

    def restart(between: Callable[[], object] = lambda: None, *, sensors: bool = True) -> None:
        seen.append((sensors, "monitor" in parts.running))

    def drain(_: object, __: object, ___: object, again: Callable[[object], None], count: int) -> dict[str, Any]:
        again(lambda: None)
        if len(seen) > fails_at:
            raise RuntimeError("the stack died")
        if len(seen) in stuck:
            return {"lists": 3, "lists_per_s": 0.0, "note": "only 3 lists of 100 events"}
        watched, noise = seen[-1][0], 1 + len(seen) / 1000
        return {"lists_per_s": 1000 * noise, "cpu_s_per_1000": {"kafka": 0.02, "taskmanager-0": 0.08 + 0.002 * watched}}

    monkeypatch.setattr(watching, "drain", drain)
    return parts, seen, watching.measure(Settings(), ["a"], parts, restart, 100, 4)  # type: ignore[arg-type]


def test_both_halves_take_turns_and_each_is_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, seen, found = measured(monkeypatch)
    counted = seen[watching.WARM_UP :]
    assert all(sensors == monitor for sensors, monitor in seen)
    assert [sensors for sensors, _ in counted] == [False, True, True, False] * 2
    assert found["cpu_ratio"]["median"] == pytest.approx(1.02)
    assert found["cpu_s_per_1000_watched"]["all"] == pytest.approx(0.102)
    assert parts.running == {"kafka", *watching.WATCHERS}


def test_a_stack_that_dies_is_left_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "describe", dict)
    started: list[str] = []
    monkeypatch.setattr(Parts, "start_part", lambda self, name: (started.append(name), self.running.add(name)))
    with pytest.raises(RuntimeError):
        measured(monkeypatch, fails_at=3)
    assert set(started) == set(watching.WATCHERS)


def test_a_drain_that_does_not_end_costs_its_pair_and_not_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, found = measured(monkeypatch, stuck=(watching.WARM_UP + 3,))
    assert found["rounds_that_count"] == len(found["lists_per_s_watched"]) == 3
    assert found["cpu_ratio"]["median"] == pytest.approx(1.02)


def test_too_few_pairs_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StackError, match="1 of 4"):
        measured(monkeypatch, stuck=(3, 5, 7))
