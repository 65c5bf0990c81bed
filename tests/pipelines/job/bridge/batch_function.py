"""What every Python half of a small job has: a cache of states, and a pipe that wakes the Java half."""

import os
import time

from operators.shopper.recent_states import RecentStates


class BatchFunction:
    """A subclass says what `on_batch` does."""

    def open(self, subtask: int) -> None:
        self._pipe, self._recent = os.pipe(), RecentStates(100, time.monotonic)

    def wake_up_descriptor(self) -> int:
        return self._pipe[0]

    def close(self) -> None:
        os.close(self._pipe[1])
