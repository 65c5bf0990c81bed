"""Keeps the search engine up to the catalogue: gathers changes and applies them, a moment later, in a thread of its own."""

import logging
import threading
from collections.abc import Mapping

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
        try:
            self._apply(batch)
        except Exception:  # a bug: one item must not keep the others out
            log.exception("changes of the catalogue could not be made findable together")
            for key, item in batch.items():
                self._apply_alone(key, item)
        return len(batch)

    def _apply(self, changes: Mapping[str, CatalogueItem | None]) -> None:
        if changes:
            items = [item for item in changes.values() if item is not None]
            self._engine.apply(items, [key for key, item in changes.items() if item is None], place=False)

    def _apply_alone(self, key: str, item: CatalogueItem | None) -> None:
        try:
            self._apply({key: item})
        except Exception:
            log.exception("the item %r cannot be found", key)

    def place(self) -> int:
        """Gives some items their vectors; returns how many."""
        return self._engine.place(PLACED)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._came.wait()
            self._came.clear()
            while not self._closed.is_set() and self.apply():
                self._closed.wait(self._every_s)
            while not self._closed.is_set() and not self._came.is_set() and self._placed():
                pass  # what came meanwhile goes first: words are quicker than vectors

    def _placed(self) -> int:
        try:
            return self.place()
        except Exception:  # a bug, or an encoder that fails: words find the items all the same
            log.exception("items of the catalogue have no vectors")
            return 1
