"""Searches the highest rate at which the lag does not grow, open loop; a user's events are too far apart to coalesce."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.load import in_the_background, rate_violations, report_of
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import Figure, NotMeasured, rounded
from benchmarks.running_stack.throughput import RecordCount, backlog
from operators.settings import Settings

MAX_LAG_S = 1.0  # lists of the last second of events may be missing at the end of the load
QUIET_S = 3.0  # without a new list: the lag is worked off


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
    """Bisects between a rate that surely holds and one that surely does not; events/s. The job must run and be warm.

    A trial whose load fell behind its rate is invalid; the search continues below it. The result needs a rate that held
    and a higher one that did not. Raises `BrokerError` if a load did not reach the broker.
    """
    trials: list[dict[str, Any]] = []
    with RecordCount(settings) as list_count:
        for _ in range(steps):
            rate = round((low + high) / 2)
            trials.append(_trial(settings, items, list_count, parts, rate, warm_s + seconds))
            low, high = (rate, high) if trials[-1]["sustained"] else (low, rate)
    best_rate = highest(trials)
    best_trials = [trial for trial in trials if trial["rate"] == best_rate]
    return {
        "bench": "sustain",
        "sustained_per_s": best_rate,
        "cores_used": best_trials[0]["cores_used"] if best_trials else best_rate,
        "seconds": seconds,
        "trials": trials,
        "machine": describe(),
    }


def highest(trials: list[dict[str, Any]]) -> Figure:
    """The highest rate that held, if the next higher trial did not hold."""
    best_rate = max((trial["rate"] for trial in trials if trial["sustained"]), default=None)
    if best_rate is None:
        return NotMeasured(
            f"no rate held, {min(trial['rate'] for trial in trials)} events/s either: give a lower --low"
        )
    higher_trials = [trial for trial in trials if trial["rate"] > best_rate]
    if not higher_trials:
        return NotMeasured(f"every rate held, {best_rate} events/s too: give a higher --high")
    nearest = min(higher_trials, key=lambda trial: trial["rate"])
    if nearest["sustained"] is None:
        return NotMeasured(f"{best_rate} events/s held, and at {nearest['rate']} {'; '.join(nearest['unknown'])}")
    return best_rate


def _trial(
    settings: Settings, items: list[str], list_count: Callable[[], int], parts: Parts, rate: float, seconds: float
) -> dict[str, Any]:
    """Runs one trial. `sustained` is None if the trial is invalid; `unknown` has the reasons."""
    count = int(rate * seconds)
    load = msgspec.structs.replace(backlog(settings, items, count), rate=rate)
    start, interval, started_s = list_count(), parts.from_now(), time.monotonic()
    report = report_of(in_the_background(load))
    lag, seconds_taken = count - (list_count() - start), time.monotonic() - started_s
    cpu_s, unknown = interval.cpu_s(), [*rate_violations(report, rate), *interval.find_violations()]
    fallbacks = interval.find_fallbacks()  # a fallback and the model's list after it would count for two events
    _settle(list_count)
    return {
        "rate": rate,
        "behind": lag,
        "generator_late_ms": round(report["late_ms"]),
        "sustained": None if unknown else lag <= rate * MAX_LAG_S and not fallbacks,
        "fallbacks": fallbacks,
        "unknown": unknown,
        "cores_used": {} if unknown else {part: rounded(value / seconds_taken, 2) for part, value in cpu_s.items()},
    }


def _settle(list_count: Callable[[], int]) -> None:
    """Waits until the lag is worked off."""
    last, change_at = -1, time.monotonic()
    while time.monotonic() - change_at < QUIET_S:
        if (now := list_count()) != last:
            last, change_at = now, time.monotonic()
        time.sleep(0.25)
