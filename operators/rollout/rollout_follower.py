"""Follows the rollout of a job's models, and applies the newest in a thread of its own."""

import logging
import threading
from collections.abc import Callable

from operators.errors import LiveshelfError
from operators.kafka_io.compacted_table import CompactedTable
from operators.rollout.rollout import Rollout

log = logging.getLogger(__name__)
RETRY_S = 10.0
Apply = Callable[[Rollout | None], None]


class RolloutFollower:
    """Applies each change; one that came while another was applied is applied next, and those in between are not."""

    def __init__(self, table: CompactedTable[Rollout], job: str, apply: Apply) -> None:
        """`table`: of `shop.models.v1`, not open yet; `job`: the key of the record. `apply` gets the newest rollout, None where
        there is none. It raises `LiveshelfError`: one that is not retriable refuses that rollout, and what serves goes on."""
        self._table, self._job, self._apply = table, job, apply
        self._wanted: Rollout | None = None
        self._changed, self._closing = threading.Event(), False
        self.refused = 0  # rollouts that cannot serve
        self.revision = 0  # of the rollout that was applied last; 0: none
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)

    def open(self, timeout_s: float) -> None:
        """Waits at most so long for the topic, applies its rollout if it has one, and follows it."""
        self._table.listen(self._on_change)
        if not self._table.open(timeout_s) and timeout_s:
            log.warning("%s did not answer within %s s: what was served last serves", self._table.topic, timeout_s)
        if self._changed.is_set():
            self._changed.clear()
            if not self._applied():
                self._changed.set()
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
        again_s: float | None = None
        while True:
            self._changed.wait(again_s)
            if self._closing:
                return
            self._changed.clear()
            again_s = None if self._applied() else RETRY_S

    def _applied(self) -> bool:
        """Applies the newest rollout; False where that may work later."""
        rollout = self._wanted
        try:
            self._apply(rollout)
        except Exception as error:
            retriable = not isinstance(error, LiveshelfError) or error.retriable
            if not retriable:
                self.refused += 1
            then = f"again in {RETRY_S:.0f} s" if retriable else "what serves goes on"
            log.error(
                "the rollout is not followed, %s: %s", then, error, exc_info=not isinstance(error, LiveshelfError)
            )
            return not retriable
        self.revision = 0 if rollout is None else rollout.revision
        return True
