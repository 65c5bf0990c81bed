"""Expectations of the records of a topic. The monitor checks each where it applies, and counts the results.

| expectation | topics | holds if |
|---|---|---|
| `valid` | events, catalogue, lists | the record decodes (an event: as the job decodes it); the id of an item or a list equals its key |
| `complete` | events, catalogue | the recommended optional fields are there (`COMPLETE`) |
| `unique` | events | the event id is not among the last 50,000 |
| `on_time` | events | event time and broker time differ by at most five minutes |
| `known_item` | events, lists | every item is in the catalogue (not checked without a catalogue) |
| `price_agrees` | events | the price has the catalogue's currency and is within a factor of 3 of the catalogue's price |
| `price_steady` | catalogue | the new price is within a factor of 3 of the previous one |
| `category_steady` | catalogue | the first level of the item's category is unchanged |
| `full` | lists | the list has half of `lists.size` items, or half of the catalogue if that is smaller; in an experiment, whose arms may set another size: any item |
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.kafka_io.list_rows import decode_list
from operators.kafka_io.row_rules import Refused
from operators.records.catalogue_decode import read_record
from operators.records.contracts import (
    CATALOGUE,
    EVENTS,
    RECOMMENDATIONS,
    CatalogueItem,
    Event,
    RecommendationList,
    items_named,
)
from operators.records.event_decode import EventDecoder

EXPECTATIONS = {
    EVENTS: ("valid", "complete", "unique", "on_time", "known_item", "price_agrees"),
    CATALOGUE: ("valid", "complete", "price_steady", "category_steady"),
    RECOMMENDATIONS: ("valid", "full", "known_item"),
}
COMPLETE: dict[str, tuple[str, ...]] = {
    "impression": ("items",),
    "purchase": ("currency",),
    "search": ("query",),
    "rate": ("rating",),
    "identify": ("anonymous_id",),
}
REMEMBERED_IDS = 50_000
ON_TIME_MS = 300_000
PRICE_FACTOR = 3.0
MAX_CATEGORIES = 40
OTHER_CATEGORY, NO_CATEGORY = "other", "none"

Verdict = tuple[str, bool]  # expectation, whether it holds


class KnownItem(NamedTuple):
    """The fields of a catalogue record that later checks need. `level`: the first level of its category, or ""."""

    price: float | None
    currency: str | None
    level: str

    @classmethod
    def of(cls, item: CatalogueItem) -> "KnownItem":
        """Of a record."""
        return cls(item.price, item.currency, item.category_path.split(" > ")[0][:64])


class Expectations:
    """Checks records one by one; knows the catalogue and the newest event ids. Not thread-safe."""

    def __init__(self, limits: EventSettings, *, list_size: int = 1, any_age: bool = False) -> None:
        """`list_size`: how many items a list should hold; `any_age` as in `EventDecoder`."""
        self._placeholders = limits.placeholders
        self._decoder = EventDecoder(limits, any_age=any_age)
        self._list_size = list_size
        self.unreadable: set[str] = set()  # keys whose newest catalogue record is unreadable
        self.refused: BadRecord | None = None  # the error of the newest catalogue record, if it is unreadable
        self._items: dict[str, KnownItem] = {}
        self._categories: set[str] = set()
        self._ids: OrderedDict[str, None] = OrderedDict()

    @property
    def items(self) -> int:
        """Items in the catalogue."""
        return len(self._items)

    def item(self, item_id: str) -> KnownItem | None:
        """The item as the catalogue has it now."""
        return self._items.get(item_id)

    def event(self, key: str, value: bytes | None, broker_ms: int) -> tuple[Event | None, list[Verdict]]:
        """The event (None if it is not valid) and its verdicts."""
        try:
            event = self._decoder.decode(key, value, broker_ms)
        except BadRecord:
            return None, [("valid", False)]
        return event, [("valid", True), *self._of_event(event, broker_ms)]

    def _of_event(self, event: Event, broker_ms: int) -> Iterator[Verdict]:
        if required := COMPLETE.get(event.event_type):
            yield "complete", all(getattr(event, name) is not None for name in required)
        yield "unique", self._is_new(event.event_id)
        yield "on_time", abs(int(event.event_time) - broker_ms) <= ON_TIME_MS
        items = items_named(event)
        if items and self._items:
            yield "known_item", all(item in self._items for item in items)
        if event.price is not None and (in_catalogue := self._items.get(event.item_id or "")) and in_catalogue.price:
            same = event.currency in (None, in_catalogue.currency) or in_catalogue.currency is None
            yield "price_agrees", same and _near(event.price, in_catalogue.price)

    def catalogue(self, key: str, value: bytes | None) -> list[Verdict]:
        """Applies a catalogue record and returns its verdicts; a tombstone has none. An unreadable record is `refused` and
        leaves the item unchanged."""
        self.refused = None
        self.unreadable.discard(key)
        if value is None:
            self._items.pop(key, None)
            return []
        try:
            item, before = read_record(key, value, self._placeholders), self._items.get(key)
        except BadRecord as bad:
            self.refused = bad
            self.unreadable.add(key)
            return [("valid", False)]
        after = self._items[key] = KnownItem.of(item)
        verdicts = [("valid", True), ("complete", bool(item.title) and item.price is not None)]
        if before is not None and before.price and after.price is not None:
            verdicts.append(("price_steady", _near(after.price, before.price) and after.currency == before.currency))
        if before is not None and before.level and after.level:
            verdicts.append(("category_steady", after.level == before.level))
        return verdicts

    def recommended(self, key: bytes | None, value: bytes) -> tuple[RecommendationList | None, list[Verdict]]:
        """The list (None if it is unreadable or its key names another user) and its verdicts."""
        try:
            recommended = decode_list(value, key)
        except Refused:
            return None, [("valid", False)]
        usual_size = 1 if recommended.experiment else self._list_size  # an arm may have set another one
        expected = min(usual_size, len(self._items) or usual_size) / 2
        verdicts = [("valid", True), ("full", bool(recommended.items) and len(recommended.items) >= expected)]
        if self._items and recommended.items:
            verdicts.append(("known_item", all(place.item_id in self._items for place in recommended.items)))
        return recommended, verdicts

    def category(self, item_id: str) -> str | None:
        """The first level of an item's category; None for an unknown item. Only the first `MAX_CATEGORIES` keep
        their names, which bounds the values of the metric's label."""
        item = self._items.get(item_id)
        if item is None:
            return None
        name = item.level or NO_CATEGORY
        if name not in self._categories:
            if len(self._categories) >= MAX_CATEGORIES:
                return OTHER_CATEGORY
            self._categories.add(name)
        return name

    def _is_new(self, event_id: str) -> bool:
        if event_id in self._ids:
            return False
        self._ids[event_id] = None
        if len(self._ids) > REMEMBERED_IDS:
            self._ids.popitem(last=False)
        return True


def _near(price: float, other: float) -> bool:
    return other / PRICE_FACTOR < price < other * PRICE_FACTOR if price > 0 else other == price
