"""A pipe by which one thread wakes another that waits for more than one thing: the task thread, by way of the Java half, for
lists; the scorer thread for requests and answers."""

import contextlib
import os
import threading

NO_PIPE = -1  # the descriptor of an operator that has nothing ready but what a batch gives


class WakeUpPipe:
    """`write` and `close` may be called from any thread; another thread, or the Java half, reads the other end.

    The numbers of the closed ends belong to others at once, and a scorer thread that hangs may come back after `close`: so
    all methods take a lock.
    """

    def __init__(self) -> None:
        self.reading_end, self._writing_end = os.pipe()
        os.set_blocking(self._writing_end, False)
        self._lock, self._open = threading.Lock(), True

    def write(self) -> None:
        """Wakes the reader; does nothing after `close`. Where the pipe is full, the reader is about to wake already."""
        with self._lock:
            if self._open:
                with contextlib.suppress(BlockingIOError):
                    os.write(self._writing_end, b"\0")

    def clear(self) -> None:
        """Takes what was written. For a reader that has seen that there is something."""
        with self._lock:
            if self._open:
                os.read(self.reading_end, 4096)

    def close(self) -> None:
        """Ends the reader."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._writing_end)
                os.close(self.reading_end)
