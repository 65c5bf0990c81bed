"""What all instrumentation costs: the real stack drains backlogs, watched and not in spells of a few seconds.

Watched: the operator's sensors count; monitor, Prometheus and Alertmanager run, so that Flink's reporter, the broker's agent
and the storefront are scraped. Not watched: none of that (the three are stopped by signal). Both halves lie within one drain,
seconds apart: whole drains in turns differ by more than what is to be measured (docs/notebook/watching.md). The broker's agent
and Flink's reporter stay loaded in both, unasked in one.
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
from benchmarks.measuring.measured import unless
from benchmarks.running_stack.alternating import SPELL_S, first_has_turn, ship
from benchmarks.running_stack.throughput import Written, backlog
from operators.errors import StackError
from operators.settings import Settings
from pipelines.submission.launcher import AlterShip

WATCHERS = ("monitor", "prometheus", "alertmanager")
FROM, TO = 0.2, 0.95  # of the backlog: before it the JVM warms, after it the batches shrink
STUCK_S = 30.0
THREADS = 12  # that are told of
QUAD = 4  # spells: watched, not, not, watched


class RestartWith(Protocol):
    """Stops the job, calls `between`, starts the job again with sensors that take turns."""

    def __call__(self, between: Callable[[], object] = ..., *, alter_ship: AlterShip = ...) -> None:
        """Returns when all tasks run."""


@dataclass(frozen=True)
class Reading:
    """A moment between two spells."""

    at_s: float
    lists: int
    cpu_s: dict[str, float]
    threads_s: dict[str, float]


@dataclass(frozen=True)
class Spell:
    """What was done in one spell."""

    watched: bool
    seconds: float
    lists: int
    cpu_s: dict[str, float]
    threads_s: dict[str, float]


def measure(
    settings: Settings, items: list[str], parts: Parts, restart: RestartWith, count: int, rounds: int
) -> dict[str, Any]:
    """Lists/s and CPU seconds per 1,000 lists with and without, and the ratios within neighbours: mean and its error.

    Nothing is measured where the stack did not stay as it was in a drain. Raises `StackError` where one stands still.
    """
    machine, spells, reasons = describe(), list[list[Spell]](), list[str]()
    with Written(settings) as written:
        start = 0

        def publish_all() -> None:
            nonlocal start
            publish(backlog(settings, items, count))
            start = written()

        try:
            for _ in range(rounds):
                restart(publish_all, alter_ship=ship)
                interval = parts.from_now()
                spells.append(_spells(written, start, count, interval.parts))
                reasons += interval.broken() + [
                    f"{name} did not run" for name in WATCHERS if name not in interval.parts
                ]
        finally:
            restart()
    return {
        "bench": "watching",
        "events": count,
        "drains": rounds,
        **unless(reasons, compare(spells)),
        "machine": machine,
    }


def _spells(written: Callable[[], int], start: int, count: int, pids: dict[str, int]) -> list[Spell]:
    """The spells of a drain while it works at its full rate, from the first watched one on."""
    marks: list[Reading] = []
    watchers, last, moved = [pids[name] for name in WATCHERS if name in pids], start, time.monotonic()
    try:
        while last - start < TO * count:
            time.sleep(SPELL_S - time.time() % SPELL_S + 0.001)
            for pid in watchers:
                os.kill(pid, signal.SIGCONT if first_has_turn(time.time(), SPELL_S) else signal.SIGSTOP)
            mark = Reading(time.time(), written(), cpu_seconds(pids), thread_seconds(pids))
            if mark.lists > last:
                last, moved = mark.lists, time.monotonic()
            elif time.monotonic() - moved > STUCK_S:
                raise StackError(f"{count} lists", f"{last - start}, then none", "liveshelf logs taskmanager-0")
            if FROM * count <= last - start <= TO * count:
                marks.append(mark)
    finally:
        for pid in watchers:
            os.kill(pid, signal.SIGCONT)
    return [
        Spell(
            first_has_turn(a.at_s, SPELL_S),
            b.at_s - a.at_s,
            b.lists - a.lists,
            {part: b.cpu_s[part] - a.cpu_s[part] for part in pids},
            {name: used - a.threads_s.get(name, used) for name, used in b.threads_s.items()},
        )
        for a, b in itertools.pairwise(marks)
    ]


def compare(drains: list[list[Spell]]) -> dict[str, Any]:
    """Groups of four spells (watched, not, not, watched, from either pair on): a steady trend cancels within each."""
    groups = [quad for spells in drains for quad in _quads(spells)]
    if not all(spell.lists for group in groups for spell in group):
        raise StackError("lists in every spell", "one without", "liveshelf logs taskmanager-0, then run it again")
    if len(groups) < 2:
        raise StackError("two groups of four spells", f"{len(groups)}", "give a longer backlog (--events)")
    rates, cpu, by_half = list[float](), list[float](), dict[bool, list[Spell]]({True: [], False: []})
    for group in groups:
        half = {watched: [spell for spell in group if spell.watched is watched] for watched in (True, False)}
        rates.append(_rate(half[True]) / _rate(half[False]))
        cpu.append(_cpu(half[True]) / _cpu(half[False]))
        for watched, spells in half.items():
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
    """Disjoint groups whose outer two and inner two are of one kind each."""
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
    """Microseconds of CPU a list that a watched stack uses more, of the threads that differ most: what watching does shows in
    threads of its own or in the task's; in others it is noise."""
    used: dict[bool, dict[str, float]] = {}
    for watched, spells in halves.items():
        lists = sum(spell.lists for spell in spells)
        names = {name for spell in spells for name in spell.threads_s}
        used[watched] = {name: 1e6 * sum(spell.threads_s.get(name, 0.0) for spell in spells) / lists for name in names}
    more = {name: used[True].get(name, 0.0) - used[False].get(name, 0.0) for name in used[True] | used[False]}
    return {name: round(more[name], 2) for name in sorted(more, key=lambda name: -abs(more[name]))[:THREADS]}


def spread(ratios: list[float]) -> dict[str, float]:
    """Median, mean, and the standard error of the mean: what the noise of so many groups leaves open."""
    return {
        "median": round(statistics.median(ratios), 4),
        "mean": round(statistics.mean(ratios), 4),
        "standard_error": round(statistics.stdev(ratios) / len(ratios) ** 0.5, 4),
    }
