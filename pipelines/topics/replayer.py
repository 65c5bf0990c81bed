"""Publishes events in an open loop: each at its intended time, even when the pipeline falls behind."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from operators.kafka_io.broker_errors import is_final
from operators.records.contracts import CATALOGUE, EVENTS, CatalogueItem, Event, encode_record


@dataclass
class Progress:
    """Progress of a replay. `failure`: the first error; `late_s`: the longest delay behind the schedule (s)."""

    sent: int = 0
    failed: int = 0
    failure: BaseException | None = None
    late_s: float = 0.0

    def count_failure(self, error: BaseException) -> None:
        """Counts a record that the broker did not take."""
        self.failed += 1
        self.failure = self.failure or error

    @property
    def is_refused(self) -> bool:
        """Whether the broker would refuse each further record too."""
        return self.failure is not None and is_final(self.failure)


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

    Ends early when the broker refuses the topic for good, and when `stop` says so.
    """
    progress = progress or Progress()
    start, first_ms = time.time(), None

    def must_stop() -> bool:
        return stop() or progress.is_refused

    for number, event in enumerate(events):
        event_ms = int(event.event_time)
        first_ms = event_ms if first_ms is None else first_ms
        due = start + pace.due_s(number, event_ms, first_ms)
        _sleep_until(due, must_stop)
        if must_stop():
            break
        progress.late_s = max(progress.late_s, time.time() - due)
        if not keep_times:
            event.event_time = int((due if pace.rate or pace.speedup else time.time()) * 1000)
        producer.send(EVENTS, key=event.user_id.encode(), value=encode_record(event)).add_errback(
            progress.count_failure
        )
        progress.sent += 1
        if tick and number % 64 == 0:
            tick()
    producer.flush()
    return progress


def _sleep_until(due: float, must_stop: Callable[[], bool]) -> None:
    while (wait := due - time.time()) > 0 and not must_stop():
        time.sleep(min(wait, 0.25))


def publish_catalogue(items: Iterable[CatalogueItem], producer: Any) -> int:
    """Publishes catalogue records; returns how many. Raises kafka-python's error when the broker refuses one."""
    futures = [producer.send(CATALOGUE, key=item.item_id.encode(), value=encode_record(item)) for item in items]
    producer.flush()
    for future in futures:
        future.get(0)
    return len(futures)
