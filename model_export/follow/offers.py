"""What the catalogue says of items, as far as the trainer needs it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from model_export.follow.stored_records import TopicRecord
from operators.errors import BadRecord
from operators.records.catalogue_decode import read_record
from operators.records.event_decode import key_text


class Offer(NamedTuple):
    """An item's title, until when it is sold (epoch ms, None: without end), and its category: its path, "" without one."""

    title: str
    until_ms: int | None
    category: str


class Offers:
    """The newest record of each item of the catalogue topic."""

    def __init__(self, placeholders: frozenset[str]) -> None:
        """`placeholders`: of `EventSettings`."""
        self._placeholders = placeholders
        self._offers: dict[str, Offer | None] = {}  # None: delisted

    def take(self, records: Iterable[TopicRecord]) -> int:
        """Applies records in their order, and returns their number; an unreadable one changes nothing."""
        count = 0
        for count, record in enumerate(records, start=1):  # noqa: B007
            if record.value is None:
                self._offers[key_text(record.key)] = None
                continue
            try:
                item = read_record(key_text(record.key), record.value, self._placeholders)
            except BadRecord:
                continue
            self._offers[item.item_id] = Offer(item.title, item.available_until, item.category_path)
        return count

    def has_left(self, item_id: str, now_ms: int) -> bool:
        """Whether the item was delisted or is not sold any more. An item that the catalogue does not know has not left."""
        offer = self._offers.get(item_id, Offer("", None, ""))
        return offer is None or (offer.until_ms is not None and offer.until_ms <= now_ms)

    def titles(self, now_ms: int) -> Iterator[tuple[str, str]]:
        """(item_id, title) of the items that are sold now and have a title."""
        for item_id, offer in self._offers.items():
            if offer is not None and offer.title and not self.has_left(item_id, now_ms):
                yield item_id, offer.title

    def category(self, item_id: str) -> str:
        """The path of an item's category, "" without one."""
        offer = self._offers.get(item_id)
        return offer.category if offer is not None else ""

    def title(self, item_id: str) -> str:
        """The title of an item, "" without one."""
        offer = self._offers.get(item_id)
        return offer.title if offer is not None else ""
