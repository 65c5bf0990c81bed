"""A pipe by which the scorer thread wakes the task thread: no thread made by Python may touch a Java object."""

import contextlib
import os
import threading


class WakeUpPipe:
    """`write` and `close` may be called from any thread; the Java half reads the other end.

    The numbers of the closed ends belong to others at once, and a scorer thread that hangs may come back after `close`: so
    both take a lock.
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

    def close(self) -> None:
        """Ends the reader."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._writing_end)
                os.close(self.reading_end)
