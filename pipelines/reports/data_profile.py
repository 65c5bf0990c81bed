"""What a day of events and the catalogue look like: counts, distributions, and which expectations they miss."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from operators.configuration.shop_settings import EventSettings
from operators.quality.expectations import Expectations, Verdict
from operators.records.contracts import CATALOGUE, EVENTS, items_named
from operators.time_units import HOUR_MS

EXAMPLES = 3
MAX_PRICES = 50_000

Record = tuple[str, bytes | None, int]  # key ("" where unknown), value, the broker's time in epoch ms (0: its own)


@dataclass
class Profile:
    """All that the report shows. Examples name no user."""

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

    def judged(self, topic: str, verdicts: Iterable[Verdict], example: str) -> None:
        """Counts verdicts and keeps a few examples of what fails."""
        for expectation, holds in verdicts:
            self.checked[topic, expectation] += 1
            if not holds:
                self.failed[topic, expectation] += 1
                examples = self.examples[topic, expectation]
                if len(examples) < EXAMPLES:
                    examples.append(example)

    @property
    def unknown_item_share(self) -> float:
        """Share of the events whose item the catalogue does not hold."""
        checked = self.checked[EVENTS, "known_item"]
        return self.failed[EVENTS, "known_item"] / checked if checked else 0.0


def profile(source: str, events: Iterable[Record], catalogue: Iterable[tuple[str, bytes | None]]) -> Profile:
    """Reads both once. An event without a broker's time, as of a file, may have any age up to now."""
    counted = Profile(source)
    expectations, now_ms = Expectations(EventSettings(), any_age=True), time.time_ns() // 1_000_000
    for key, value in catalogue:
        verdicts = expectations.catalogue(key, value)
        counted.judged(CATALOGUE, verdicts, f"item {key}")
        item = expectations.item(key)
        if item is not None and item.price is not None:
            counted.catalogue_prices.append(item.price)
    counted.catalogue_items = expectations.items
    for key, value, broker_ms in events:
        counted.records += 1
        event, verdicts = expectations.event(key, value, broker_ms or now_ms)
        if not broker_ms:
            verdicts = [(name, holds) for name, holds in verdicts if name != "on_time"]
        about = (
            "not decodable" if event is None else _about(event.event_type, event.item_id, event.price, event.currency)
        )
        counted.judged(EVENTS, verdicts, about)
        if event is None:
            continue
        counted.valid += 1
        counted.types[event.event_type] += 1
        counted.hours[event.event_type][int(event.event_time) // HOUR_MS] += 1
        counted.users[event.user_id] += 1
        if event.event_type != "impression":
            for item_id in items_named(event):
                counted.items[item_id] += 1
                if (category := expectations.category(item_id)) is not None:
                    counted.categories[category] += 1
        if event.price is not None and len(counted.event_prices) < MAX_PRICES:
            counted.event_prices.append(event.price)
    return counted


def _about(kind: str, item_id: str | None, price: float | None, currency: str | None) -> str:
    parts = [kind, f"of {item_id}" if item_id else "", f"at {price} {currency or ''}" if price is not None else ""]
    return " ".join(part for part in parts if part)
