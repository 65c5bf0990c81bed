"""Publishes events open loop: each at its intended time, whether or not the pipeline keeps up."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from operators.kafka_io.broker_errors import is_final
from operators.records.contracts import CATALOGUE, EVENTS, CatalogueItem, Event, encode_record


@dataclass
class Progress:
    """What a replay has done: `sent` records, `failed` ones and why the first of them did, and how far it ever was
    behind its schedule (s)."""

    sent: int = 0
    failed: int = 0
    failure: BaseException | None = None
    late_s: float = 0.0


@dataclass(frozen=True)
class ReplayRate:
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
    pace: ReplayRate,
    producer: Any,
    *,
    keep_times: bool = False,
    progress: Progress | None = None,
    tick: Callable[[], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Sends events in order. `event_time` becomes the intended send time unless `keep_times` is set.

    It ends early where the broker refuses us the topic: it would refuse each event.
    """
    progress = progress or Progress()
    start, first_ms = time.time(), None

    def failed(error: BaseException) -> None:
        progress.failed += 1
        progress.failure = progress.failure or error

    def ends() -> bool:
        return stop() or (progress.failure is not None and is_final(progress.failure))

    for number, event in enumerate(events):
        event_ms = int(event.event_time)
        first_ms = event_ms if first_ms is None else first_ms
        due = start + pace.due_s(number, event_ms, first_ms)
        while (wait := due - time.time()) > 0 and not ends():
            time.sleep(min(wait, 0.25))
        if ends():
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
    """Publishes catalogue records; returns how many. Raises what kafka-python has where one was not taken."""
    sent = [producer.send(CATALOGUE, key=item.item_id.encode(), value=encode_record(item)) for item in items]
    producer.flush()
    for one in sent:
        one.get(0)
    return len(sent)
