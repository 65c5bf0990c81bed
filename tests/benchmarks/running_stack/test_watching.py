"""`bench watching`: which spells it compares, and what it signals to whom."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from benchmarks.measuring import machine
from benchmarks.running_stack import watching
from benchmarks.running_stack.alternating import Alternating, first_has_turn
from benchmarks.running_stack.watching import Spell
from operators.errors import StackError

COST = 1.02  # of a watched spell


def spells(pattern: str, trend: float = 0.01) -> list[Spell]:
    """W: watched, costs 2 % more; each spell is `trend` faster than the one before."""
    spells_of_drain = []
    for number, kind in enumerate(pattern):
        cost = (COST if kind == "W" else 1.0) / (1 + trend * number)
        cpu_s = {"kafka": 30.0, "taskmanager-0": 70.0}
        spells_of_drain.append(
            Spell(kind == "W", 5.0, round(1e6 / cost), cpu_s, {"kafka: io": 30.0, "taskmanager-0: refresh": 70.0})
        )
    return spells_of_drain


@pytest.mark.parametrize("pattern", ["WNNWWNNWWNNW", "NNWWNNWWNN", "NWWNNWWNNW", "WWNNWWNNWW"])
def test_a_steady_trend_cancels_from_whatever_spell_the_drain_begins(pattern: str) -> None:
    result = watching.compare([spells(pattern), spells(pattern)])
    assert result["groups"] >= 4
    assert result["cpu_ratio"]["mean"] == pytest.approx(COST, abs=0.001)
    assert result["throughput_ratio"]["mean"] == pytest.approx(1 / COST, abs=0.001)
    assert result["cpu_s_per_1000_watched"]["taskmanager-0"] == pytest.approx(
        0.7 * result["cpu_s_per_1000_watched"]["all"], abs=2e-4
    )
    by_thread = result["us_a_list_more_by_thread"]
    assert [*by_thread] == ["taskmanager-0: refresh", "kafka: io"] and by_thread["kafka: io"] > 0


def test_too_short_a_backlog_is_said() -> None:
    with pytest.raises(StackError, match="two groups of four spells"):
        watching.compare([spells("WNNW"), spells("WN")])


def drained(
    monkeypatch: pytest.MonkeyPatch, list_count: Callable[[], int], count: int
) -> list[tuple[bool, signal.Signals]]:
    signals: list[tuple[bool, signal.Signals]] = []
    monkeypatch.setattr(watching, "SPELL_S", 0.05)
    monkeypatch.setattr(watching, "STUCK_S", 0.3)
    monkeypatch.setattr(
        watching.os,
        "kill",
        lambda pid, signal_number: signals.append((first_has_turn(time.time(), 0.05), signal_number)),
    )
    watching._spells(list_count, 0, count, {"monitor": 1, "kafka": 2})
    return signals


def test_the_watchers_rest_in_the_spells_of_the_other_half_and_work_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    started_s = time.monotonic()
    signals = drained(monkeypatch, lambda: int((time.monotonic() - started_s) * 1000), 1000)
    assert {signal_number for turn, signal_number in signals[:-1] if turn} == {signal.SIGCONT}
    assert {signal_number for turn, signal_number in signals[:-1] if not turn} == {signal.SIGSTOP}
    assert signals[-1][1] is signal.SIGCONT


def test_a_drain_that_stands_still_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StackError, match="10, then none"):
        drained(monkeypatch, lambda: 10, 1000)


def test_who_has_the_turn_answers() -> None:
    now = 0.0
    alternating = Alternating("first", b"second", 5.0, lambda: now)
    for at_s, expected in ((0.0, str), (4.9, str), (5.0, bytes), (14.9, bytes), (15.0, str), (24.9, str)):
        now = at_s
        assert type(alternating.upper()) is expected


def test_threads_are_counted_by_name_and_part() -> None:
    ended = threading.Event()
    workers = [threading.Thread(target=ended.wait) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        before = machine.thread_seconds({"me": os.getpid(), "gone": 2**22 - 1})
        sum(range(20_000_000))
        spent = {name: cpu_s - before[name] for name, cpu_s in machine.thread_seconds({"me": os.getpid()}).items()}
    finally:
        ended.set()
    assert {name.partition(": ")[0] for name in before} == {"me"}
    assert sum(spent.values()) > 0.05
