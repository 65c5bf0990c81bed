"""Keeps the search engine up to the catalogue: gathers changes and applies them, a moment later, in a thread of its own."""

import logging
import threading
from collections.abc import Callable

from operators.kafka_io.catalogue_rows import GONE
from operators.records.contracts import CatalogueItem
from operators.search.engine import SearchEngine

log = logging.getLogger(__name__)
EVERY_S = 0.5  # changes become findable so long after they came, at most, and the time that applying them takes
PLACED = 32  # items that get their vectors between two looks for changes
AT_ONCE = 5_000  # changes; a start with more items makes the first ones findable early


class SearchFollower:
    """Takes changes of the catalogue from any thread. What waits is bounded: the newest change of each item."""

    def __init__(self, engine: SearchEngine, every_s: float = EVERY_S) -> None:
        self._engine, self._every_s = engine, every_s
        self._waiting: dict[str, CatalogueItem | None] = {}
        self._lock, self._came, self._closed = threading.Lock(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="search-index", daemon=True)

    def changed(self, key: str, change: CatalogueItem | None) -> None:
        """As `CatalogueView.changed`."""
        with self._lock:
            self._waiting[key] = None if change is GONE else change
        self._came.set()

    def start(self) -> None:
        """Begins to apply changes."""
        self._thread.start()

    def close(self) -> None:
        """Stops; what waits is lost, and read again at the next start."""
        self._closed.set()
        self._came.set()
        if self._thread.is_alive():
            self._thread.join()

    def apply(self) -> int:
        """Applies what waits now, at most `AT_ONCE` changes; returns how many."""
        with self._lock:
            batch = {key: self._waiting.pop(key) for key in [*self._waiting][:AT_ONCE]}
        if batch:
            items = [item for item in batch.values() if item is not None]
            self._engine.apply(items, [key for key, item in batch.items() if item is None], place=False)
        return len(batch)

    def place(self) -> int:
        """Gives some items their vectors; returns how many."""
        return self._engine.place(PLACED)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._came.wait()
            self._came.clear()
            while not self._closed.is_set() and self._worked(self.apply):
                self._closed.wait(self._every_s)
            while not self._closed.is_set() and not self._came.is_set() and self._worked(self.place):
                pass  # what came meanwhile goes first: words are quicker than vectors

    def _worked(self, work: Callable[[], int]) -> int:
        try:
            return work()
        except Exception:  # the storefront serves on with the index as it is; later changes are tried again
            log.exception("changes of the catalogue could not be made findable")
            return 0
