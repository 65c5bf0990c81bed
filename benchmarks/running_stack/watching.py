"""Measures the cost of all monitoring: the stack drains backlogs, watched and not watched in spells of a few seconds.

Watched: the operator's sensors count; monitor, Prometheus and Alertmanager run and scrape Flink's reporter, the broker's
agent and the storefront. Not watched: the sensors are off and a signal stops the three processes; the agent and the
reporter stay loaded but nobody scrapes them. Both halves are in one drain, seconds apart, because whole drains differ by
more than the cost to be measured (docs/notebook/watching.md).
"""

import itertools
import os
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.load import publish
from benchmarks.measuring.machine import cpu_seconds, describe, thread_seconds
from benchmarks.measuring.measured import measured_unless
from benchmarks.running_stack.alternating import SPELL_S, first_has_turn, ship
from benchmarks.running_stack.throughput import RecordCount, backlog
from operators.errors import StackError
from operators.settings import Settings
from pipelines.submission.launcher import AlterShip

WATCHERS = ("monitor", "prometheus", "alertmanager")
FROM, TO = 0.2, 0.95  # of the backlog: before, the JVM warms up; after, batches shrink
STUCK_S = 30.0
THREADS = 12  # in the result
QUAD = 4  # spells: watched, not, not, watched


class RestartWith(Protocol):
    """Stops the job, calls `while_stopped`, starts the job with alternating sensors."""

    def __call__(self, while_stopped: Callable[[], object] = ..., *, alter_ship: AlterShip = ...) -> None:
        """Returns when all tasks run."""


@dataclass(frozen=True)
class Reading:
    """The counters at a moment between two spells."""

    at_s: float
    lists: int
    cpu_s: dict[str, float]
    threads_s: dict[str, float]


@dataclass(frozen=True)
class Spell:
    """The work and CPU of one spell."""

    watched: bool
    seconds: float
    lists: int
    cpu_s: dict[str, float]
    threads_s: dict[str, float]


def measure(
    settings: Settings, items: list[str], parts: Parts, restart: RestartWith, count: int, rounds: int
) -> dict[str, Any]:
    """Lists/s and CPU seconds per 1,000 lists, watched and not, and the ratios of neighbouring spells: mean and its error.

    Nothing is measured if the stack changed during a drain. Raises `StackError` if a drain stands still.
    """
    machine, spells, reasons = describe(), list[list[Spell]](), list[str]()
    with RecordCount(settings) as list_count:
        start = 0

        def publish_all() -> None:
            nonlocal start
            publish(backlog(settings, items, count))
            start = list_count()

        try:
            for _ in range(rounds):
                restart(publish_all, alter_ship=ship)
                interval = parts.from_now()
                spells.append(_spells(list_count, start, count, interval.parts))
                reasons += interval.find_violations() + [
                    f"{name} did not run" for name in WATCHERS if name not in interval.parts
                ]
        finally:
            restart()
    return {
        "bench": "watching",
        "events": count,
        "drains": rounds,
        **measured_unless(reasons, compare(spells)),
        "machine": machine,
    }


def _spells(list_count: Callable[[], int], start: int, count: int, pids: dict[str, int]) -> list[Spell]:
    """The spells of a drain at its full rate."""
    readings: list[Reading] = []
    watchers, last, progress_at = [pids[name] for name in WATCHERS if name in pids], start, time.monotonic()
    try:
        while last - start < TO * count:
            time.sleep(SPELL_S - time.time() % SPELL_S + 0.001)
            for pid in watchers:
                os.kill(pid, signal.SIGCONT if first_has_turn(time.time(), SPELL_S) else signal.SIGSTOP)
            reading = Reading(time.time(), list_count(), cpu_seconds(pids), thread_seconds(pids))
            if reading.lists > last:
                last, progress_at = reading.lists, time.monotonic()
            elif time.monotonic() - progress_at > STUCK_S:
                raise StackError(f"{count} lists", f"{last - start}, then none", "liveshelf logs taskmanager-0")
            if FROM * count <= last - start <= TO * count:
                readings.append(reading)
    finally:
        for pid in watchers:
            os.kill(pid, signal.SIGCONT)
    return [
        Spell(
            first_has_turn(a.at_s, SPELL_S),
            b.at_s - a.at_s,
            b.lists - a.lists,
            {part: b.cpu_s[part] - a.cpu_s[part] for part in pids},
            {name: seconds - a.threads_s.get(name, seconds) for name, seconds in b.threads_s.items()},
        )
        for a, b in itertools.pairwise(readings)
    ]


def compare(drains: list[list[Spell]]) -> dict[str, Any]:
    """Compares groups of four spells (watched, not, not, watched, or the reverse): a trend cancels within each group."""
    groups = [quad for spells in drains for quad in _quads(spells)]
    if not all(spell.lists for group in groups for spell in group):
        raise StackError("lists in every spell", "one without", "liveshelf logs taskmanager-0, then run it again")
    if len(groups) < 2:
        raise StackError("two groups of four spells", f"{len(groups)}", "give a longer backlog (--events)")
    rates, cpu, by_half = list[float](), list[float](), dict[bool, list[Spell]]({True: [], False: []})
    for group in groups:
        halves = {watched: [spell for spell in group if spell.watched is watched] for watched in (True, False)}
        rates.append(_rate(halves[True]) / _rate(halves[False]))
        cpu.append(_cpu(halves[True]) / _cpu(halves[False]))
        for watched, spells in halves.items():
            by_half[watched] += spells
    return {
        "groups": len(groups),
        "seconds_of_each_half": round(len(groups) * QUAD / 2 * SPELL_S),
        "lists_per_s_watched": round(_rate(by_half[True])),
        "lists_per_s_unwatched": round(_rate(by_half[False])),
        "throughput_ratio": spread(rates),
        "cpu_s_per_1000_watched": _by_part(by_half[True]),
        "cpu_s_per_1000_unwatched": _by_part(by_half[False]),
        "cpu_ratio": spread(cpu),
        "us_a_list_more_by_thread": _by_thread(by_half),
    }


def _quads(spells: list[Spell]) -> list[list[Spell]]:
    """Disjoint groups of four spells; the outer two are of one kind, the inner two of the other."""
    first = next(
        (
            i
            for i in range(min(QUAD, len(spells)))
            if [s.watched for s in spells[i + 1 : i + 3]] in ([True] * 2, [False] * 2)
        ),
        len(spells),
    )
    return [spells[i : i + QUAD] for i in range(first, len(spells) - QUAD + 1, QUAD)]


def _rate(spells: list[Spell]) -> float:
    return sum(spell.lists for spell in spells) / sum(spell.seconds for spell in spells)


def _cpu(spells: list[Spell]) -> float:
    return 1000 * sum(sum(spell.cpu_s.values()) for spell in spells) / sum(spell.lists for spell in spells)


def _by_part(spells: list[Spell]) -> dict[str, float]:
    lists = sum(spell.lists for spell in spells)
    parts = {part: 1000 * sum(s.cpu_s[part] for s in spells) / lists for part in sorted(spells[0].cpu_s)}
    return {part: round(value, 4) for part, value in parts.items()} | {"all": round(sum(parts.values()), 4)}


def _by_thread(halves: dict[bool, list[Spell]]) -> dict[str, float]:
    """Extra CPU of a watched stack in microseconds a list, of the threads that differ most. Watching shows in its own threads
    and in the task's; differences elsewhere are noise."""
    cpu_us: dict[bool, dict[str, float]] = {}
    for watched, spells in halves.items():
        lists = sum(spell.lists for spell in spells)
        names = {name for spell in spells for name in spell.threads_s}
        cpu_us[watched] = {
            name: 1e6 * sum(spell.threads_s.get(name, 0.0) for spell in spells) / lists for name in names
        }
    difference = {
        name: cpu_us[True].get(name, 0.0) - cpu_us[False].get(name, 0.0) for name in cpu_us[True] | cpu_us[False]
    }
    return {
        name: round(difference[name], 2)
        for name in sorted(difference, key=lambda name: -abs(difference[name]))[:THREADS]
    }


def spread(ratios: list[float]) -> dict[str, float]:
    """Median, mean, and the standard error of the mean."""
    return {
        "median": round(statistics.median(ratios), 4),
        "mean": round(statistics.mean(ratios), 4),
        "standard_error": round(statistics.stdev(ratios) / len(ratios) ** 0.5, 4),
    }
