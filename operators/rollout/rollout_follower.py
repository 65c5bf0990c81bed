"""Follows the rollout of a job's models, and applies the newest in a thread of its own."""

import logging
import threading
from collections.abc import Callable, Sequence

from operators.errors import LiveshelfError
from operators.kafka_io.compacted_table import CompactedTable
from operators.rollout.rollout import Rollout

log = logging.getLogger(__name__)
RETRY_S = 10.0
Apply = Callable[[Rollout | None], Sequence[Exception] | None]


class RolloutFollower:
    """Applies each change; one that came while another was applied is applied next, and those in between are not."""

    def __init__(self, table: CompactedTable[Rollout], job: str, apply: Apply) -> None:
        """`table`: of `shop.models.v1`, not open yet; `job`: the key of the record. `apply` gets the newest rollout, None where
        there is none, and is never called by two threads at once. It raises a `LiveshelfError` where what serves must go on,
        and returns the errors of the bundles without which the rollout serves. Where an error is retriable the rollout is
        applied again after `RETRY_S`; another one is counted in `refused`."""
        self._table, self._job, self._apply = table, job, apply
        self._wanted: Rollout | None = None
        self._changed, self._closing = threading.Event(), False
        self._again_s: float | None = None  # until the newest rollout is applied again; None: when it changes
        self.refused = 0  # rollouts with a bundle that cannot serve
        self.revision = 0  # of the rollout that was applied last; 0: none
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)

    def open(self, timeout_s: float) -> None:
        """Waits at most so long for the topic, and applies its rollout if it has one. Changes wait for `follow`."""
        self._table.listen(self._on_change)
        if not self._table.open(timeout_s) and timeout_s:
            log.warning("%s did not answer within %s s: what was served last serves", self._table.topic, timeout_s)
        if self._changed.is_set():
            self._apply_newest()

    def follow(self) -> None:
        """Applies changes from here on."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; a change that is being applied is waited for, seconds at most."""
        self._closing = True
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(RETRY_S)
        self._table.close()

    def _on_change(self, key: str, rollout: Rollout | None) -> None:
        if key == self._job:
            self._wanted = rollout
            self._changed.set()

    def _run(self) -> None:
        while True:
            self._changed.wait(self._again_s)
            if self._closing:
                return
            self._apply_newest()

    def _apply_newest(self) -> None:
        self._changed.clear()
        rollout = self._wanted
        try:
            errors = self._apply(rollout) or ()
            self.revision = 0 if rollout is None else rollout.revision
        except Exception as error:
            errors = (error,)
            then = f"again in {RETRY_S:.0f} s" if is_retriable(error) else "what serves goes on"
            log.error(
                "the rollout is not followed, %s: %s", then, error, exc_info=not isinstance(error, LiveshelfError)
            )
        self.refused += any(not is_retriable(error) for error in errors)
        self._again_s = RETRY_S if any(map(is_retriable, errors)) else None


def is_retriable(error: Exception) -> bool:
    """Whether the same rollout may be applied later: an error of our own may pass too."""
    return not isinstance(error, LiveshelfError) or error.retriable
