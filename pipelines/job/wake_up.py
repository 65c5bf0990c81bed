"""A pipe by which the scorer thread wakes the task thread: no thread made by Python may touch a Java object."""

import contextlib
import os


class WakeUpPipe:
    """`write` may be called from any thread; the Java half reads the other end."""

    def __init__(self) -> None:
        self.reading_end, self._writing_end = os.pipe()
        os.set_blocking(self._writing_end, False)

    def write(self) -> None:
        """Wakes the reader. Where the pipe is full, the reader is about to wake already."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._writing_end, b"\0")

    def close(self) -> None:
        """Ends the reader. The scorer thread must not write any more."""
        for end in (self._writing_end, self.reading_end):
            os.close(end)
