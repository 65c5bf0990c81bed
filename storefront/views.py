"""What the storefront knows: the newest list of each user and the catalogue, as local tables."""

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from operators.catalogue import decode_item
from operators.compacted_table import CompactedTable, Consumer
from operators.contracts import CATALOGUE, RECOMMENDATIONS, CatalogueItem, RecommendationList

_decode_list = msgspec.json.Decoder(RecommendationList).decode
OnList = Callable[[str, bytes | None], None]


class _Version(msgspec.Struct):
    version: int


_decode_version = msgspec.json.Decoder(_Version).decode


def is_newer(old: bytes | None, new: bytes | None) -> bool:
    """Whether a list replaces another: after a failure older versions are written again, and are ignored.

    A tombstone always counts. A value that is no list does not: it would hide a good one.
    """
    if new is None:
        return True
    try:
        version = _decode_version(new).version
        return old is None or version >= _decode_version(old).version
    except msgspec.MsgspecError:
        return False


class Shelf:
    """The catalogue in memory, in title order, for the page and for filtering what went out of stock."""

    def __init__(self) -> None:
        self._items: dict[str, CatalogueItem] = {}
        self._lock = threading.Lock()

    def changed(self, key: str, value: bytes | None) -> None:
        """Takes a record of the catalogue topic."""
        item = decode_item(value)
        with self._lock:
            if item is None:
                self._items.pop(key, None)
            else:
                self._items[key] = item

    def get(self, item_id: str) -> CatalogueItem | None:
        """The item, None when it is not in the catalogue."""
        return self._items.get(item_id)

    def sold(self, item_id: str) -> bool:
        """Whether it may be shown: in stock, or not known because there is no catalogue."""
        item = self._items.get(item_id)
        return item.in_stock if item is not None else not self._items

    def search(self, text: str, limit: int) -> list[CatalogueItem]:
        """Items whose title holds all words."""
        words = text.lower().split()
        with self._lock:
            items = list(self._items.values())
        found = [i for i in items if i.in_stock and all(word in i.title.lower() for word in words)]
        return sorted(found, key=lambda item: item.title)[:limit]

    def __len__(self) -> int:
        return len(self._items)


class Views:
    """Both tables; `on_list` hears of each list that is taken."""

    def __init__(self, folder: Path, connect: Callable[[], Consumer], on_list: OnList) -> None:
        self.shelf = Shelf()
        self._started = False
        self._on_list = on_list
        self._catalogue = CompactedTable(CATALOGUE, folder / "catalogue", connect, on_change=self.shelf.changed)
        self._lists = CompactedTable(RECOMMENDATIONS, folder / "lists", connect, on_change=self._list, accept=is_newer)

    def open(self) -> None:
        """Serves the local copies at once and follows the topics."""
        self._catalogue.open(0)
        self._lists.open(0)
        self._started = True

    def close(self) -> None:
        """Stops following."""
        self._lists.close()
        self._catalogue.close()

    def list_of(self, user_id: str) -> RecommendationList | None:
        """The newest list of a user."""
        value = self._lists.get(user_id)
        return None if value is None else _decode_list(value)

    @property
    def complete(self) -> bool:
        """Whether both tables have caught up since the start."""
        return self._catalogue.complete and self._lists.complete

    def ages(self) -> dict[str, float]:
        """Table -> seconds since the broker last answered it."""
        return {"catalogue": self._catalogue.age_s, "lists": self._lists.age_s}

    def _list(self, user_id: str, value: bytes | None) -> None:
        if self._started:
            self._on_list(user_id, value)
