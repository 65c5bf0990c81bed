"""Recovery after a fault: the longest time without a list, and the time until lists are fresh again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.faults.evidence import Strike
from benchmarks.faults.observer import ReaderView
from operators.settings import Settings

# p95 of a second: what counts as fresh again on a machine that also holds load, broker and oracle; where it was
# slower before the fault, three times what it was
FRESH_LIMIT_S, WARM_S = 0.25, 3.0


@dataclass
class Recovery:
    """As in `Row`."""

    silence_s: float | None
    recovery_s: float | None
    not_fresh_again: int
    seconds_p95: list[float | None]


def recovery(
    view: ReaderView, strikes: Sequence[Strike], started_s: float, last_event: float, commit_s: float
) -> Recovery:
    """Of a load from `begun` to `last_event` (monotonic s). `commit_s` as `wait_for_commit_s` gives it."""
    end = max(view.arrivals[-1], last_event) if view.arrivals else last_event
    start = strikes[0].at if strikes else view.arrivals[0] if view.arrivals else started_s
    fresh = fresh_again(view, strikes, started_s, end, commit_s) if strikes else None
    seconds = [view.percentile(0.95, started_s + n, started_s + n + 1) for n in range(int(end - started_s) + 1)]
    return Recovery(
        silence_s=round(view.silence(start, end), 1),
        recovery_s=None if fresh is None else round(fresh - strikes[-1].at, 1),
        not_fresh_again=int(bool(strikes) and fresh is None),
        seconds_p95=[round(second, 3) if math.isfinite(second) else None for second in seconds],
    )


def fresh_again(
    view: ReaderView, strikes: Sequence[Strike], started_s: float, end: float, commit_s: float
) -> float | None:
    """The moment after the last fault from which lists stay fresh until `end` (monotonic s); None if never."""
    before = view.percentile(0.95, started_s + WARM_S, strikes[0].at)
    limit_s = max(FRESH_LIMIT_S, 3 * before) if math.isfinite(before) else FRESH_LIMIT_S
    return view.fresh_again(strikes[-1].at, end, limit_s + commit_s, 1.0 + commit_s)


def wait_for_commit_s(settings: Settings) -> float:
    """Delivered exactly once, lists can be read only after the next checkpoint, all that wait at once."""
    return 1.5 * settings.job.checkpoint_interval_ms / 1000 if settings.job.delivery == "exactly-once" else 0.0
