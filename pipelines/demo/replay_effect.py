"""Counts the duplicates of a replay that the job dropped, from the job's own metrics."""

import time
from pathlib import Path

from pipelines.submission.operator_totals import operator_total

WAIT_S = 5.0  # for a job that keeps up
COUNTED = "liveshelf_events_total"


class ReplayEffect:
    """Compares the job's counters with those at the start of a replay. Needs a job on this machine."""

    def __init__(self, targets: Path) -> None:
        """`targets`: as `operator_total` takes it."""
        self._targets = targets
        self._start_counts = self._counts()

    def known_already(self, sent: int) -> int | None:
        """How many of `sent` events the job dropped as duplicates; None without a job, or if it has not read all events
        within `WAIT_S`.
        """
        deadline = time.monotonic() + WAIT_S
        while any(self._targets.glob("operator-*.json")):
            read_count, duplicates = (
                count - start_count for count, start_count in zip(self._counts(), self._start_counts, strict=True)
            )
            if read_count >= sent > 0:
                return min(duplicates, sent)
            if time.monotonic() > deadline:
                return None
            time.sleep(0.2)
        return None

    def _counts(self) -> tuple[int, int]:
        return (
            operator_total(self._targets, COUNTED),
            operator_total(self._targets, COUNTED, outcome="duplicate"),
        )
