"""The short benchmark: the figures that matter to a shop, in about five minutes, as ratios that hold on a noisy machine.

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
from benchmarks.measuring.measured import Figure, NotMeasured, median, ratio, unless
from benchmarks.models.onnx_alone import best
from benchmarks.running_stack import freshness, storefront, sustain
from benchmarks.running_stack.coalesced import applied_by
from benchmarks.running_stack.floor import Floor
from benchmarks.running_stack.state import STRIDE
from benchmarks.running_stack.throughput import Written, backlog
from operators.errors import StackError
from operators.settings import Settings
from operators.shopper.features import WINDOW

ROUNDS = 3
FROM, TO = 0.3, 0.9  # of a kind's events: around them the kinds mix, for partitions are not read in step
STUCK_S = 120.0
LOOKUPS = "look-ups/s to lists/s of ONNX Runtime alone"


@dataclass(frozen=True)
class Kind:
    """Events of one kind in each round's backlog, by so many shoppers in turn."""

    name: str
    events: int
    shoppers: int
    before: int = 0  # events of each that are applied before the first round
    anew: bool = False  # other shoppers in each round


KINDS = (
    Kind("settling", 10_000, 2_500, anew=True),  # after the restart
    Kind("full histories", 25_000, 5_000, before=WINDOW),  # fewer would be coalesced, where one partition runs ahead
    Kind("new shoppers", 40_000, 20_000, anew=True),
    Kind("many shoppers", 25_000, 60_000, before=1),
    Kind("between", 10_000, 2_500, anew=True),
    Kind("coalesced", 40_000, 500),
)
UNMEASURED = ("settling", "between")  # what is coalesced runs ahead, and must not mix with the rest


@dataclass(frozen=True)
class Reading:
    """The counters at a moment of a drain."""

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
            if kind.before:
                count += kind.before * kind.shoppers
                publish(msgspec.structs.replace(self.loads[kind.name], count=kind.before * kind.shoppers))
        self._until(applied_before + count, lambda applied: None)

    def round(self, number: int) -> dict[str, dict[str, Any]]:
        """Kind -> what its part of the backlog took; not measured where the stack did not stay as it was."""
        self._restart(lambda: [publish(load_of(kind, self.loads[kind.name], number)) for kind in KINDS])
        starts = [0, *accumulate(kind.events for kind in KINDS)]
        bounds = [
            start + share * kind.events for start, kind in zip(starts, KINDS, strict=False) for share in (FROM, TO)
        ]
        marks: list[Reading] = []
        with Written(self._settings) as written:
            interval = self._parts.from_now()

            def look(applied: int) -> None:
                if len(marks) < len(bounds) and applied >= bounds[len(marks)]:
                    marks.append(Reading(time.monotonic(), applied, written(), cpu_seconds(interval.parts)))

            self._until(starts[-1], look)
        by_kind = {kind.name: between(*marks[2 * n : 2 * n + 2]) for n, kind in enumerate(KINDS)}
        measured = {name: row for name, row in by_kind.items() if name not in UNMEASURED}
        return unless(interval.broken() + interval.fell_back(), measured)

    def _until(self, target: int, look: Callable[[int], None]) -> None:
        last, moved = -1, time.monotonic()
        while (applied := self._applied()) < target:
            look(applied)
            if applied > last:
                last, moved = applied, time.monotonic()
            elif time.monotonic() - moved > STUCK_S:
                raise StackError(f"{target} events applied", f"{applied}, then none", "liveshelf logs taskmanager-0")
            time.sleep(0.1)
        look(applied)

    def _applied(self) -> int:
        return applied_by(self._targets)


def load_of(kind: Kind, shoppers: Load, number: int) -> Load:
    """A round's events of a kind; `shoppers`: who they are."""
    load = msgspec.structs.replace(shoppers, count=kind.events)
    if kind.anew:
        return msgspec.structs.replace(load, tag=f"{load.tag}r{number}")
    # whole turns of the shoppers first, so that no event's id is one of those before
    first = (kind.before + 1) * kind.shoppers * STRIDE + number * kind.events
    return msgspec.structs.replace(load, first=first, stride=STRIDE)


def between(since: Reading, until: Reading) -> dict[str, Figure]:
    """Events and lists a second, and CPU s of the TaskManagers per 1,000 lists."""
    seconds, lists, events = until.at - since.at, until.lists - since.lists, until.applied - since.applied
    cpu = sum(used - since.cpu_s[part] for part, used in until.cpu_s.items() if part.startswith("taskmanager"))
    figures = {
        "events_per_s": ratio(events, seconds, 0),
        "lists_per_s": ratio(lists, seconds, 0),
        "taskmanager_cpu_s_per_1000": ratio(1000 * cpu, lists, 4),
    }
    wrong = [f"{events} events were applied and {lists} lists came between two marks"]
    return figures if events and lists and seconds else unless(wrong, figures)


def ratios_of(figures: dict[str, dict[str, Figure]], alone: float) -> dict[str, Figure]:
    """Of one round; all better when higher. `alone`: lists/s of ONNX Runtime by itself, with full histories."""
    full, new, many = (figures[name] for name in ("full histories", "new shoppers", "many shoppers"))
    return {
        "lists/s to ONNX Runtime alone, full histories": ratio(full["lists_per_s"], alone, 4),
        "CPU of ONNX Runtime alone to the job's, full histories": ratio(
            1000 / alone, full["taskmanager_cpu_s_per_1000"], 4
        ),
        "events/s coalesced to every event scored": ratio(figures["coalesced"]["events_per_s"], new["lists_per_s"], 4),
        "lists/s of 60,000 shoppers to 20,000 new ones": ratio(many["lists_per_s"], new["lists_per_s"], 4),
    }


def medians(rounds: list[dict[str, Figure]]) -> dict[str, Figure]:
    """Of each ratio over the rounds."""
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
    """`told` hears what is measured now. Raises `StackError` where the job stands still."""
    machine, rounds = describe(), Rounds(settings, items, parts, restart, targets)
    progress("histories for 65,000 shoppers")
    rounds.prepare()
    results, ratios, alone = list[dict[str, Any]](), list[dict[str, Figure]](), 0.0
    for number in range(ROUNDS):
        progress(f"round {number + 1} of {ROUNDS}")
        alone = best(graph, WINDOW, 0.2)["lists_per_s"]
        results.append(rounds.round(number) | {"ONNX Runtime alone": {"lists_per_s": alone}})
        ratios.append(ratios_of(results[-1], alone))
    drained = median([result["new shoppers"]["lists_per_s"] for result in results])
    parted, beside = warm_parts(settings, items, parts, drained, progress)
    beside[LOOKUPS] = NotMeasured("apt-get install wrk", left_out=True)
    if shutil.which("wrk"):
        progress("look-ups")
        full_histories = rounds.loads["full histories"]
        parted["storefront"] = storefront.measure(settings, items, parts, 500, 8, full_histories)
        beside[LOOKUPS] = ratio(parted["storefront"]["requests_per_s"], alone)
    return {
        "bench": "short",
        "rounds": results,
        **parted,
        "ratios": medians(ratios) | beside,
        "ratios_of_rounds": ratios,
        "machine": machine,
    }


def warm_parts(
    settings: Settings, items: list[str], parts: Parts, drained: Figure, progress: Callable[[str], object]
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """The highest rate, searched around `drained` lists/s, and freshness: their results and their ratios."""
    if isinstance(drained, NotMeasured):
        rate: dict[str, Any] = {"bench": "sustain", "sustained_per_s": drained}
    else:
        progress("the highest rate")
        rate = sustain.measure(settings, items, parts, 0.4 * drained, 1.2 * drained, 4, steps=4, warm_s=2)
    # after the search: what single events go through is cold after a backlog; and the floor's JVM takes CPU until it is warm
    progress("freshness beside the floor")
    with Floor(settings) as floor:
        fresh = freshness.measure(settings, items, parts, 500, 20, 30, 20_000, floor)
    ratios = {"sustained rate to that of a backlog": ratio(rate["sustained_per_s"], drained)}
    return {"sustain": rate, "freshness": fresh}, ratios | fresh.pop("ratios")
