"""The short benchmark: the figures that matter to a shop, in about five minutes, as ratios that are stable on a noisy machine.

A backlog holds four kinds of events, one after the other. A warm job drains several such backlogs (rounds). Both sides
of a ratio are measured within the same minute, and each ratio is the median of the rounds.
"""

import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.load import Load, publish
from benchmarks.measuring.machine import cpu_seconds, describe
from benchmarks.measuring.measured import Figure, NotMeasured, measured_unless, median, ratio
from benchmarks.models.onnx_alone import best_rate
from benchmarks.running_stack import freshness, storefront, sustain
from benchmarks.running_stack.coalesced import applied_by
from benchmarks.running_stack.floor import Floor
from benchmarks.running_stack.state import STRIDE
from benchmarks.running_stack.throughput import RecordCount, backlog
from operators.errors import StackError
from operators.settings import Settings
from operators.shopper.features import WINDOW

ROUNDS = 3
FROM, TO = 0.3, 0.9  # of a kind's events: outside, kinds mix, because partitions are not read in step
STUCK_S = 120.0
LOOKUPS = "look-ups/s to lists/s of ONNX Runtime alone"


@dataclass(frozen=True)
class Kind:
    """Events of one kind in each round's backlog, of `shoppers` in turn."""

    name: str
    events: int
    shoppers: int
    events_before: int = 0  # events of each shopper before the first round
    new_each_round: bool = False  # each round has new shoppers


KINDS = (
    Kind("settling", 10_000, 2_500, new_each_round=True),  # after the restart
    Kind(
        "full histories", 25_000, 5_000, events_before=WINDOW
    ),  # fewer would be coalesced, where one partition runs ahead
    Kind("new shoppers", 40_000, 20_000, new_each_round=True),
    Kind("many shoppers", 25_000, 60_000, events_before=1),
    Kind("between", 10_000, 2_500, new_each_round=True),
    Kind("coalesced", 40_000, 500),
)
UNMEASURED = ("settling", "between")  # they keep coalesced events, which are read faster, apart from the others


@dataclass(frozen=True)
class Reading:
    """The counters at one moment of a drain."""

    at: float
    applied: int
    lists: int
    cpu_s: dict[str, float] = field(default_factory=dict)


class Rounds:
    """The backlogs, and the job that drains them."""

    def __init__(
        self,
        settings: Settings,
        items: list[str],
        parts: Parts,
        restart: Callable[[Callable[[], object]], None],
        targets: Path,
    ) -> None:
        """`restart` and `targets` as in `coalesced.measure`."""
        self._settings, self._parts, self._restart, self._targets = settings, parts, restart, targets
        tag = f"short{random.randrange(10**9)}"
        self.loads = {
            kind.name: msgspec.structs.replace(backlog(settings, items, 0, kind.shoppers), tag=f"{tag}{number}")
            for number, kind in enumerate(KINDS)
        }

    def prepare(self) -> None:
        """Publishes the shoppers' histories and waits until the job has applied them, which also warms the JVM."""
        applied_before, count = self._applied(), 0
        for kind in KINDS:
            if kind.events_before:
                count += kind.events_before * kind.shoppers
                publish(msgspec.structs.replace(self.loads[kind.name], count=kind.events_before * kind.shoppers))
        self._until(applied_before + count, lambda applied: None)

    def round(self, number: int) -> dict[str, dict[str, Any]]:
        """Kind -> figures of its part of the backlog; not measured if the stack changed."""
        self._restart(lambda: [publish(load_of(kind, self.loads[kind.name], number)) for kind in KINDS])
        starts = [0, *accumulate(kind.events for kind in KINDS)]
        bounds = [
            start + share * kind.events for start, kind in zip(starts, KINDS, strict=False) for share in (FROM, TO)
        ]
        readings: list[Reading] = []
        with RecordCount(self._settings) as list_count:
            interval = self._parts.from_now()

            def look(applied: int) -> None:
                if len(readings) < len(bounds) and applied >= bounds[len(readings)]:
                    readings.append(Reading(time.monotonic(), applied, list_count(), cpu_seconds(interval.parts)))

            self._until(starts[-1], look)
        by_kind = {kind.name: figures_between(*readings[2 * n : 2 * n + 2]) for n, kind in enumerate(KINDS)}
        measured_kinds = {name: row for name, row in by_kind.items() if name not in UNMEASURED}
        return measured_unless(interval.find_violations() + interval.find_fallbacks(), measured_kinds)

    def _until(self, target: int, look: Callable[[int], None]) -> None:
        last, progress_at = -1, time.monotonic()
        while (applied := self._applied()) < target:
            look(applied)
            if applied > last:
                last, progress_at = applied, time.monotonic()
            elif time.monotonic() - progress_at > STUCK_S:
                raise StackError(f"{target} events applied", f"{applied}, then none", "liveshelf logs taskmanager-0")
            time.sleep(0.1)
        look(applied)

    def _applied(self) -> int:
        return applied_by(self._targets)


def load_of(kind: Kind, shoppers: Load, number: int) -> Load:
    """A round's events of a kind. `shoppers`: the load with the users of this kind."""
    load = msgspec.structs.replace(shoppers, count=kind.events)
    if kind.new_each_round:
        return msgspec.structs.replace(load, tag=f"{load.tag}r{number}")
    # starts after whole turns of the shoppers, so that no event id repeats
    first = (kind.events_before + 1) * kind.shoppers * STRIDE + number * kind.events
    return msgspec.structs.replace(load, first=first, stride=STRIDE)


def figures_between(since: Reading, until: Reading) -> dict[str, Figure]:
    """Events and lists a second, and CPU s of the TaskManagers per 1,000 lists."""
    seconds, lists, events = until.at - since.at, until.lists - since.lists, until.applied - since.applied
    cpu = sum(cpu_s - since.cpu_s[part] for part, cpu_s in until.cpu_s.items() if part.startswith("taskmanager"))
    figures = {
        "events_per_s": ratio(events, seconds, 0),
        "lists_per_s": ratio(lists, seconds, 0),
        "taskmanager_cpu_s_per_1000": ratio(1000 * cpu, lists, 4),
    }
    reasons = [f"{events} events were applied and {lists} lists came between two marks"]
    return figures if events and lists and seconds else measured_unless(reasons, figures)


def ratios_of(figures: dict[str, dict[str, Figure]], onnx_rate: float) -> dict[str, Figure]:
    """The ratios of one round; higher is better. `onnx_rate`: lists/s of ONNX Runtime alone, with full histories."""
    full, new, many = (figures[name] for name in ("full histories", "new shoppers", "many shoppers"))
    return {
        "lists/s to ONNX Runtime alone, full histories": ratio(full["lists_per_s"], onnx_rate, 4),
        "CPU of ONNX Runtime alone to the job's, full histories": ratio(
            1000 / onnx_rate, full["taskmanager_cpu_s_per_1000"], 4
        ),
        "events/s coalesced to every event scored": ratio(figures["coalesced"]["events_per_s"], new["lists_per_s"], 4),
        "lists/s of 60,000 shoppers to 20,000 new ones": ratio(many["lists_per_s"], new["lists_per_s"], 4),
    }


def medians(rounds: list[dict[str, Figure]]) -> dict[str, Figure]:
    """The median of each ratio over the rounds."""
    return {name: median([ratios[name] for ratios in rounds]) for name in rounds[0]}


def measure(
    settings: Settings,
    items: list[str],
    graph: Path,
    parts: Parts,
    restart: Callable[[Callable[[], object]], None],
    targets: Path,
    progress: Callable[[str], object],
) -> dict[str, Any]:
    """Runs all parts. `progress` gets the name of each part at its start. Raises `StackError` if the job stands still."""
    machine, rounds = describe(), Rounds(settings, items, parts, restart, targets)
    progress("histories for 65,000 shoppers")
    rounds.prepare()
    results, ratios, onnx_rate = list[dict[str, Any]](), list[dict[str, Figure]](), 0.0
    for number in range(ROUNDS):
        progress(f"round {number + 1} of {ROUNDS}")
        onnx_rate = best_rate(graph, WINDOW, 0.2)["lists_per_s"]
        results.append(rounds.round(number) | {"ONNX Runtime alone": {"lists_per_s": onnx_rate}})
        ratios.append(ratios_of(results[-1], onnx_rate))
    drain_rate = median([result["new shoppers"]["lists_per_s"] for result in results])
    results_of_parts, extra_ratios = warm_parts(settings, items, parts, drain_rate, progress)
    extra_ratios[LOOKUPS] = NotMeasured("apt-get install wrk", left_out=True)
    if shutil.which("wrk"):
        progress("look-ups")
        full_histories = rounds.loads["full histories"]
        results_of_parts["storefront"] = storefront.measure(settings, items, parts, 500, 8, full_histories)
        extra_ratios[LOOKUPS] = ratio(results_of_parts["storefront"]["requests_per_s"], onnx_rate)
    return {
        "bench": "short",
        "rounds": results,
        **results_of_parts,
        "ratios": medians(ratios) | extra_ratios,
        "ratios_of_rounds": ratios,
        "machine": machine,
    }


def warm_parts(
    settings: Settings, items: list[str], parts: Parts, drain_rate: Figure, progress: Callable[[str], object]
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Measures the highest rate, searched around `drain_rate` lists/s, and freshness: (results, ratios)."""
    if isinstance(drain_rate, NotMeasured):
        rate: dict[str, Any] = {"bench": "sustain", "sustained_per_s": drain_rate}
    else:
        progress("the highest rate")
        rate = sustain.measure(settings, items, parts, 0.4 * drain_rate, 1.2 * drain_rate, 4, steps=4, warm_s=2)
    # after the search: the path of single events is cold after a backlog, and the floor's JVM uses CPU until it is warm
    progress("freshness beside the floor")
    with Floor(settings) as floor:
        freshness_result = freshness.measure(settings, items, parts, 500, 20, 30, 20_000, floor)
    ratios = {"sustained rate to that of a backlog": ratio(rate["sustained_per_s"], drain_rate)}
    return {"sustain": rate, "freshness": freshness_result}, ratios | freshness_result.pop("ratios")
