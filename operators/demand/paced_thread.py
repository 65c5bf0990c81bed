"""A thread that computes the same thing again and again without taking much of a core."""

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)
SHORTEST_S, SHARE = 1.0, 0.02  # between two computations, and of a core's time that they take


class PacedThread:
    """Calls `compute` every second, or so much less often that it takes `SHARE` of a core."""

    def __init__(self, name: str, compute: Callable[[], None]) -> None:
        """An error of `compute` is logged, and the next call comes as usual."""
        self._name, self._compute = name, compute
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Computes now, in the caller's thread, and from here on in this one."""
        self._compute()
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(5)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        pause_s = SHORTEST_S
        while not self._closing.wait(pause_s):
            started_s = time.thread_time()
            try:
                self._compute()
            except Exception:
                log.exception("%s: what was computed before stays", self._name)
            pause_s = max(SHORTEST_S, (time.thread_time() - started_s) / SHARE)
