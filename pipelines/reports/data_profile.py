"""Profile of events and catalogue: counts, distributions and failed expectations."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from operators.configuration.shop_settings import EventSettings
from operators.quality.expectations import Expectations, Verdict
from operators.records.contracts import CATALOGUE, EVENTS, Event, items_named
from operators.time_units import HOUR_MS

EXAMPLES = 3
MAX_PRICES = 50_000

Record = tuple[str, bytes | None, int]  # key ("" if unknown), value, the broker's time in epoch ms (0 if unknown)


@dataclass
class Profile:
    """The data of the report. Examples name no user."""

    source: str
    records: int = 0
    valid: int = 0
    types: Counter[str] = field(default_factory=Counter)
    hours: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))  # type -> hour -> count
    users: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    event_prices: list[float] = field(default_factory=list)
    catalogue_prices: list[float] = field(default_factory=list)
    catalogue_items: int = 0
    checked: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def count_verdicts(self, topic: str, verdicts: Iterable[Verdict], example: str) -> None:
        """Counts verdicts, and keeps up to three examples of each failed expectation."""
        for expectation, holds in verdicts:
            self.checked[topic, expectation] += 1
            if not holds:
                self.failed[topic, expectation] += 1
                examples = self.examples[topic, expectation]
                if len(examples) < EXAMPLES:
                    examples.append(example)

    def count_event(self, event: Event, category_of: Callable[[str], str | None]) -> None:
        """Counts a valid event. `category_of`: first level of an item's category, None if unknown."""
        self.valid += 1
        self.types[event.event_type] += 1
        self.hours[event.event_type][int(event.event_time) // HOUR_MS] += 1
        self.users[event.user_id] += 1
        if event.event_type != "impression":
            for item_id in items_named(event):
                self.items[item_id] += 1
                if (category := category_of(item_id)) is not None:
                    self.categories[category] += 1
        if event.price is not None and len(self.event_prices) < MAX_PRICES:
            self.event_prices.append(event.price)

    @property
    def unknown_item_share(self) -> float:
        """Share of the events with an item that is not in the catalogue."""
        checked = self.checked[EVENTS, "known_item"]
        return self.failed[EVENTS, "known_item"] / checked if checked else 0.0


def profile(source: str, events: Iterable[Record], catalogue: Iterable[tuple[str, bytes | None]]) -> Profile:
    """Reads both once. Events without a broker's time (0), as in a file, may have any age."""
    result = Profile(source)
    expectations, now_ms = Expectations(EventSettings(), any_age=True), time.time_ns() // 1_000_000
    for key, value in catalogue:
        result.count_verdicts(CATALOGUE, expectations.catalogue(key, value), f"item {key}")
        item = expectations.item(key)
        if item is not None and item.price is not None:
            result.catalogue_prices.append(item.price)
    result.catalogue_items = expectations.items
    for key, value, broker_ms in events:
        result.records += 1
        event, verdicts = expectations.event(key, value, broker_ms or now_ms)
        if not broker_ms:
            verdicts = [(name, holds) for name, holds in verdicts if name != "on_time"]
        result.count_verdicts(EVENTS, verdicts, "not decodable" if event is None else _example(event))
        if event is not None:
            result.count_event(event, expectations.category)
    return result


def _example(event: Event) -> str:
    item = f"of {event.item_id}" if event.item_id else ""
    price = f"at {event.price} {event.currency or ''}" if event.price is not None else ""
    return " ".join(part for part in (event.event_type, item, price) if part)
