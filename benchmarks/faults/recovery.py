"""Recovery after a fault: the longest time without a list, and the time until lists are fresh again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.faults.evidence import Strike
from benchmarks.faults.observer import ReaderView
from operators.settings import Settings

# the limit for the p95 of a second; three times the p95 before the fault where that is more
FRESH_LIMIT_S, WARM_S = 0.25, 3.0


@dataclass
class Recovery:
    """The fields of `Row` about recovery."""

    silence_s: float | None
    recovery_s: float | None
    not_fresh_again: int
    seconds_p95: list[float | None]


def recovery(
    view: ReaderView, strikes: Sequence[Strike], started_s: float, last_event: float, commit_s: float
) -> Recovery:
    """The recovery of a load from `started_s` to `last_event` (monotonic s). `commit_s`: see `wait_for_commit_s`."""
    end = max(view.arrivals[-1], last_event) if view.arrivals else last_event
    start = strikes[0].at if strikes else view.arrivals[0] if view.arrivals else started_s
    fresh_at = fresh_again(view, strikes, started_s, end, commit_s) if strikes else None
    seconds = [view.percentile(0.95, started_s + n, started_s + n + 1) for n in range(int(end - started_s) + 1)]
    return Recovery(
        silence_s=round(view.silence(start, end), 1),
        recovery_s=None if fresh_at is None else round(fresh_at - strikes[-1].at, 1),
        not_fresh_again=int(bool(strikes) and fresh_at is None),
        seconds_p95=[round(p95, 3) if math.isfinite(p95) else None for p95 in seconds],
    )


def fresh_again(
    view: ReaderView, strikes: Sequence[Strike], started_s: float, end: float, commit_s: float
) -> float | None:
    """The moment after the last fault from which lists stay fresh until `end` (monotonic s), or None."""
    before = view.percentile(0.95, started_s + WARM_S, strikes[0].at)
    limit_s = max(FRESH_LIMIT_S, 3 * before) if math.isfinite(before) else FRESH_LIMIT_S
    return view.fresh_again(strikes[-1].at, end, limit_s + commit_s, 1.0 + commit_s)


def wait_for_commit_s(settings: Settings) -> float:
    """The wait for a commit: with exactly-once delivery, lists become readable only at the next checkpoint."""
    return 1.5 * settings.job.checkpoint_interval_ms / 1000 if settings.job.delivery == "exactly-once" else 0.0
