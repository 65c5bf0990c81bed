"""Publishes catalogue changes, erasures and hostile records; `benchmarks.measuring.load` publishes the good events.

`python -m benchmarks.faults.hostile_feed` reads a `Feed` as JSON from stdin, publishes until SIGTERM and prints `Sent` as
JSON.
"""

import heapq
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import msgspec
from kafka import KafkaProducer

from benchmarks.faults import hostile_records
from benchmarks.measuring import child_process
from operators.kafka_io.kafka_clients import connect
from operators.records.contracts import CATALOGUE, ERASURES, EVENTS
from operators.time_units import DAY_MS

HOSTILE_USERS = 200
DELAY_S = 5.0  # from an event to its user's erasure, and from the erasure to the event of a user who comes back
UNKNOWN_ITEMS = 2_000


class Feed(msgspec.Struct, kw_only=True):
    """The order: records a second of each kind. `items`: of the model; ids of users and unknown items begin with `tag`."""

    client: dict[str, Any]
    items: list[str]
    tag: str
    hostile_per_s: float = 10.0
    catalogue_per_s: float = 50.0
    erasures_per_s: float = 1.0
    poisonous_ids: bool = True  # ids that must not cross from Java to Python as text
    seed: int = 7


class Sent(msgspec.Struct, kw_only=True):
    """The report. `hostile`, `catalogue`: records by kind. `erased`: the users `erased_user(tag, n)` with n below it were
    erased. `returned`: of these, users with an odd n below it came back."""

    hostile: dict[str, int]
    catalogue: dict[str, int]
    erased: int
    returned: int
    failed: int
    seconds: float
    late_s: float


def erased_user(tag: str, number: int) -> str:
    """The user_id of erased user `number`."""
    return f"{tag}-gone-{number}"


def erasure_id(tag: str, number: int) -> str:
    """The erasure_id for `erased_user(tag, number)`."""
    return f"{tag}-erasure-{number}"


class Feeder:
    """Sends a feed."""

    def __init__(self, feed: Feed, send: Callable[[str, bytes | None, bytes | None], None]) -> None:
        """`send(topic, key, value)`."""
        self._feed, self._send = feed, send
        self._rng = random.Random(feed.seed)
        self._records = hostile_records.records(feed.poisonous_ids)
        self._order: list[str] = []
        self.hostile: Counter[str] = Counter()
        self.catalogue: Counter[str] = Counter()
        self.erased = self.returned = self._next_number = 0
        self._scheduled: deque[tuple[float, Callable[[], None]]] = deque()  # all wait equally long

    def offer_all(self) -> None:
        """Publishes every item of the model as in stock."""
        for item in self._feed.items:
            self._send(CATALOGUE, item.encode(), self._item(item))

    def run(self, is_stopped: Callable[[], bool]) -> float:
        """Sends each kind at its own rate until stopped; returns the greatest delay (s)."""
        rates = (
            (self._feed.hostile_per_s, self.hostile_event),
            (self._feed.catalogue_per_s, self.catalogue_change),
            (self._feed.erasures_per_s, self.erasure),
        )
        started_s, late_s = time.monotonic(), 0.0
        schedule = [(started_s, number) for number, (rate, _) in enumerate(rates) if rate]
        while schedule and not is_stopped():
            due_s, number = heapq.heappop(schedule)
            while self._scheduled and self._scheduled[0][0] <= time.monotonic():
                self._scheduled.popleft()[1]()
            if (wait := due_s - time.monotonic()) > 0:
                time.sleep(wait)
            late_s = max(late_s, time.monotonic() - due_s)
            rate, send_record = rates[number]
            send_record()
            heapq.heappush(schedule, (due_s + 1 / rate, number))
        return late_s

    def hostile_event(self) -> None:
        """Sends a hostile record; all kinds come once before one repeats."""
        if not self._order:
            self._order = self._rng.sample(sorted(self._records), len(self._records))
        kind = self._order.pop()
        user = f"{self._feed.tag}-hostile-{self._rng.randrange(HOSTILE_USERS)}"
        key, value = self._records[kind](user, _now_ms(), self._rng)
        self.hostile[kind] += 1
        self._send(EVENTS, key, value)

    def catalogue_change(self) -> None:
        """Sends a catalogue record: mostly a new price; sometimes sold out, delisted, an unknown item, or not a record at all."""
        draw = self._rng.random()
        known_item = self._rng.choice(self._feed.items)
        unknown_item = f"{self._feed.tag}-new-{self._rng.randrange(UNKNOWN_ITEMS)}"
        if draw < 0.80:
            self._change("changed", known_item, self._item(known_item))
        elif draw < 0.86:
            self._change("sold out", known_item, self._item(known_item, in_stock=False))
        elif draw < 0.89:
            self._change("delisted", known_item, None)
        elif draw < 0.90:
            self._change("not for sale yet", known_item, self._item(known_item, available_from=_now_ms() + 7 * DAY_MS))
        elif draw < 0.98:
            self._change("of no model", unknown_item, self._item(unknown_item))
        elif draw < 0.99:
            self._change("of no model, delisted", unknown_item, None)
        else:
            kind, value = hostile_records.catalogue_record(self._rng)
            self._change(kind, unknown_item if self._rng.random() < 0.5 else known_item, value)

    def erasure(self) -> None:
        """Sends an event of a new user and schedules the erasure; every second user comes back after it."""
        number, self._next_number = self._next_number, self._next_number + 1
        self._visit(number, "before")
        self._after(lambda: self._erase(number))

    def _erase(self, number: int) -> None:
        user = erased_user(self._feed.tag, number)
        request = {"user_id": user, "requested_at": _now_ms(), "erasure_id": erasure_id(self._feed.tag, number)}
        self._send(ERASURES, user.encode(), json.dumps(request).encode())
        self.erased = number + 1
        self._after(lambda: self._return(number))

    def _return(self, number: int) -> None:
        if number % 2:
            self._visit(number, "after")
        self.returned = number + 1

    def _visit(self, number: int, phase: str) -> None:
        user = erased_user(self._feed.tag, number)
        event = {"event_id": f"{user}-{phase}", "event_type": "view", "event_time": _now_ms(), "user_id": user}
        item = {"item_id": self._rng.choice(self._feed.items)}
        self._send(EVENTS, user.encode(), json.dumps(event | item).encode())

    def _change(self, kind: str, item: str, value: bytes | None) -> None:
        self.catalogue[kind] += 1
        self._send(CATALOGUE, item.encode(), value)

    def _item(self, item: str, **fields: Any) -> bytes:
        price = round(self._rng.uniform(1, 99), 2)
        record = {"item_id": item, "title": f"Item {item}", "price": price, "currency": "GBP"}
        return json.dumps(record | {"category": ["Shop", f"Shelf {sum(item.encode()) % 20}"]} | fields).encode()

    def _after(self, action: Callable[[], None]) -> None:
        self._scheduled.append((time.monotonic() + DELAY_S, action))


def _now_ms() -> int:
    return int(time.time() * 1000)


def run(feed: Feed, is_stopped: Callable[[], bool]) -> Sent:
    """Sends the feed to Kafka."""
    producer = connect(KafkaProducer, feed.client | {"acks": "all", "linger_ms": 5, "max_request_size": 2_000_000})
    failed: list[BaseException] = []

    def send(topic: str, key: bytes | None, value: bytes | None) -> None:
        producer.send(topic, key=key, value=value).add_errback(failed.append)

    feeder, started_s = Feeder(feed, send), time.monotonic()
    feeder.offer_all()
    late_s = feeder.run(is_stopped)
    producer.flush()
    producer.close()
    return Sent(
        hostile=dict(feeder.hostile),
        catalogue=dict(feeder.catalogue),
        erased=feeder.erased,
        returned=feeder.returned,
        failed=len(failed),
        seconds=time.monotonic() - started_s,
        late_s=late_s,
    )


def in_the_background(feed: Feed) -> "subprocess.Popen[str]":
    """Starts a process that sends the feed until SIGTERM and prints `Sent` as JSON."""
    return child_process.start("benchmarks.faults.hostile_feed", feed)


def main() -> None:
    """Reads the feed from stdin and sends it until SIGTERM."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    print(msgspec.json.encode(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Feed), stopped.is_set)).decode())


if __name__ == "__main__":
    main()
