"""Publishes events open loop: each at its intended time, whether or not the pipeline keeps up."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer

from operators.contracts import CATALOGUE, EVENTS, CatalogueItem, Event, encode_record
from operators.settings import KafkaSettings


@dataclass
class Progress:
    """What a replay has done: `sent` records, `failed` ones, and how far it ever was behind its schedule (s)."""

    sent: int = 0
    failed: int = 0
    late_s: float = 0.0


@dataclass(frozen=True)
class Pace:
    """When each event is due: `rate` events/s, or the original gaps divided by `speedup`."""

    rate: float | None = None
    speedup: float | None = None

    def due_s(self, number: int, event_ms: int, first_ms: int) -> float:
        """Seconds after the start at which event `number` (from 0) is due."""
        if self.speedup:
            return (event_ms - first_ms) / 1000 / self.speedup
        return number / self.rate if self.rate else 0.0


def replay(
    events: Iterable[Event],
    pace: Pace,
    producer: Any,
    *,
    keep_times: bool = False,
    progress: Progress | None = None,
    tick: Callable[[], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Sends events in order. `event_time` becomes the intended send time unless `keep_times` is set."""
    progress = progress or Progress()
    start, first_ms = time.time(), None

    def failed(_: Exception) -> None:
        progress.failed += 1

    for number, event in enumerate(events):
        event_ms = int(event.event_time)
        first_ms = event_ms if first_ms is None else first_ms
        due = start + pace.due_s(number, event_ms, first_ms)
        while (wait := due - time.time()) > 0 and not stop():
            time.sleep(min(wait, 0.25))
        if stop():
            break
        progress.late_s = max(progress.late_s, time.time() - due)
        if not keep_times:
            event.event_time = int((due if pace.rate or pace.speedup else time.time()) * 1000)
        producer.send(EVENTS, key=event.user_id.encode(), value=encode_record(event)).add_errback(failed)
        progress.sent += 1
        if tick and number % 64 == 0:
            tick()
    producer.flush()
    return progress


def publish_catalogue(items: Iterable[CatalogueItem], producer: Any) -> int:
    """Publishes catalogue records; returns how many."""
    sent = [producer.send(CATALOGUE, key=item.item_id.encode(), value=encode_record(item)) for item in items]
    producer.flush()
    return len(sent)


def new_producer(settings: KafkaSettings) -> KafkaProducer:
    """A producer that waits for all acknowledgements."""
    return KafkaProducer(**settings.producer_options())
