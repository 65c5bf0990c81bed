"""The highest rate at which no lag grows, by search: open loop, each user's events too far apart to coalesce."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.load import behind_its_rate, in_the_background, report_of
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import Figure, NotMeasured, rounded
from benchmarks.running_stack.throughput import Written, backlog
from operators.settings import Settings

BEHIND_S = 1.0  # of events that may be unanswered when the load ends
QUIET_S = 3.0  # without a list: what lagged is written


def measure(
    settings: Settings,
    items: list[str],
    parts: Parts,
    low: float,
    high: float,
    seconds: float,
    *,
    steps: int = 6,
    warm_s: float = 5.0,
) -> dict[str, Any]:
    """Bisects between a rate that is sure to hold and one that is not; events/s. The job must run and be warm.

    A trial whose load fell behind its rate shows nothing; the search goes on below it. The highest rate is measured where
    one held and a higher one did not. Raises `BrokerError` where a load did not reach the broker.
    """
    trials: list[dict[str, Any]] = []
    with Written(settings) as written:
        for _ in range(steps):
            rate = round((low + high) / 2)
            trials.append(_trial(settings, items, written, parts, rate, warm_s + seconds))
            low, high = (rate, high) if trials[-1]["sustained"] else (low, rate)
    best = highest(trials)
    best_trials = [trial for trial in trials if trial["rate"] == best]
    return {
        "bench": "sustain",
        "sustained_per_s": best,
        "cores_used": best_trials[0]["cores_used"] if best_trials else best,
        "seconds": seconds,
        "trials": trials,
        "machine": describe(),
    }


def highest(trials: list[dict[str, Any]]) -> Figure:
    """The highest rate that held, where a trial just above it did not hold."""
    best = max((trial["rate"] for trial in trials if trial["sustained"]), default=None)
    if best is None:
        return NotMeasured(
            f"no rate held, {min(trial['rate'] for trial in trials)} events/s either: give a lower --low"
        )
    above = [trial for trial in trials if trial["rate"] > best]
    if not above:
        return NotMeasured(f"every rate held, {best} events/s too: give a higher --high")
    nearest = min(above, key=lambda trial: trial["rate"])
    if nearest["sustained"] is None:
        return NotMeasured(f"{best} events/s held, and at {nearest['rate']} {'; '.join(nearest['unknown'])}")
    return best


def _trial(
    settings: Settings, items: list[str], written: Callable[[], int], parts: Parts, rate: float, seconds: float
) -> dict[str, Any]:
    """`sustained` is None where the trial shows nothing; `unknown` has the reasons."""
    count = int(rate * seconds)
    load = msgspec.structs.replace(backlog(settings, items, count), rate=rate)
    start, interval, started_s = written(), parts.from_now(), time.monotonic()
    report = report_of(in_the_background(load))
    behind, seconds_taken = count - (written() - start), time.monotonic() - started_s
    used, unknown = interval.cpu_s(), [*behind_its_rate(report, rate), *interval.broken()]
    fallbacks = interval.fell_back()  # each has the model's list after it, which would hide an event that waits
    _settle(written)
    return {
        "rate": rate,
        "behind": behind,
        "generator_late_ms": round(report["late_ms"]),
        "sustained": None if unknown else behind <= rate * BEHIND_S and not fallbacks,
        "fallbacks": fallbacks,
        "unknown": unknown,
        "cores_used": {} if unknown else {part: rounded(value / seconds_taken, 2) for part, value in used.items()},
    }


def _settle(written: Callable[[], int]) -> None:
    """What lags goes out before the next trial."""
    last, moved = -1, time.monotonic()
    while time.monotonic() - moved < QUIET_S:
        if (now := written()) != last:
            last, moved = now, time.monotonic()
        time.sleep(0.25)
