"""What the job made of the events that a replay published, by the job's own counts."""

import time
from pathlib import Path

from pipelines.submission.operator_totals import operator_total

WAIT_S = 5.0  # for a job that keeps up
COUNTED = "liveshelf_events_total"


class ReplayEffect:
    """Counts from here on what the job reads. Knows nothing where no job of this machine announces its counts."""

    def __init__(self, targets: Path) -> None:
        """`targets`: as `operator_total` takes it."""
        self._targets = targets
        self._before = self._counts()

    def known_already(self, sent: int) -> int | None:
        """How many of `sent` events the job left out because it knew their event_id.

        None without a job that says, and while it has not read them all.
        """
        deadline = time.monotonic() + WAIT_S
        while any(self._targets.glob("operator-*.json")):
            read, known = (now - before for now, before in zip(self._counts(), self._before, strict=True))
            if read >= sent > 0:
                return min(known, sent)
            if time.monotonic() > deadline:
                return None
            time.sleep(0.2)
        return None

    def _counts(self) -> tuple[int, int]:
        return (
            operator_total(self._targets, COUNTED),
            operator_total(self._targets, COUNTED, outcome="duplicate"),
        )
