"""The load generator: `python -m benchmarks.measuring.load` reads a `Load` as JSON from stdin and prints its report as JSON.

Open loop: event n is due at start + n / rate and carries that time, so a slow pipeline cannot slow the load.
"""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from kafka import KafkaProducer

from benchmarks.measuring import child_process
from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import connect
from operators.records.contracts import EVENTS

LATE_MS = 1000.0  # largest delay of an event; beyond it the generator, not the pipeline, causes the latency
MIN_RATE_SHARE = 0.95  # of the requested rate


class Load(msgspec.Struct, kw_only=True):
    """`rate` 0: as fast as possible. Users are `tag`-0 … `tag`-(users - 1); items are drawn with a Zipf-like skew.

    Event ids contain the event's number, counted from `first`.
    """

    client: dict[str, Any]
    items: list[str]
    count: int
    rate: float
    users: int
    tag: str
    seed: int = 7
    topic: str = EVENTS
    first: int = 0
    each_user_once: bool = False  # users in turn instead of drawn at random
    stride: int = 1  # step from one user's number to the next one's; coprime to `users`
    duplicates: float = 0.0  # share of events that are sent a second time, `COPY_DELAY` events later
    poison: float = 0.0  # share of records from `POISON`, which are no events
    patience_s: float = 120.0  # maximum wait of a record for the broker


POISON = (
    b"", b"{", b"\xff\xfe", b"[1,2]", b"[" * 5_000, b'{"event_id":"x"}', b"x" * 100_000,
    b'{"event_id":"p","event_type":"teleport","event_time":1,"user_id":"p","item_id":"i"}',
    b'{"event_id":"p","event_type":"view","event_time":NaN,"user_id":"p","item_id":"i"}',
    b'{"event_id":"p","event_type":"view","event_time":-1,"user_id":"p","item_id":"i"}',
)  # fmt: skip
COPY_DELAY = 37  # events


class _Publisher:
    """Publishes the events of a load, with its copies and its poison.

    Two random generators: `sent_per_user` (benchmarks/running_stack/freshness.py) repeats the draws of users, which must
    not depend on the defects.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._rng, self._defect_rng = random.Random(load.seed), random.Random(-load.seed)
        wait_ms = int(load.patience_s * 1000)
        own = {
            "acks": "all",
            "linger_ms": 2 if load.rate else 20,
            "batch_size": 131_072,
            "delivery_timeout_ms": wait_ms,
            "max_block_ms": wait_ms,
        }
        self._producer = connect(KafkaProducer, load.client | own)
        self._copies: deque[tuple[int, bytes, bytes]] = deque()
        self._items = [load.items[int(len(load.items) * self._rng.random() ** 2)] for _ in range(10_000)]
        self.failed: list[BaseException] = []

    def publish(self, number: int, due_s: float) -> None:
        """Publishes event `number`, and by chance a copy or a poisonous record after it."""
        load = self._load
        turn = (
            (load.first + number) * load.stride % load.users if load.each_user_once else self._rng.randrange(load.users)
        )
        user = f"{load.tag}-{turn}"
        value = (
            f'{{"event_id":"{load.tag}-{load.first + number}","event_type":"view","event_time":{int(due_s * 1000)},'
            f'"user_id":"{user}","item_id":"{self._items[number % 10_000]}"}}'
        )
        self._send(user.encode(), value.encode())
        if self._defect_rng.random() < load.duplicates:
            self._copies.append((number + COPY_DELAY, user.encode(), value.encode()))
        if self._copies and self._copies[0][0] <= number:
            _, key, copy = self._copies.popleft()
            self._send(key, copy)
        if self._defect_rng.random() < load.poison:
            self._send(user.encode(), POISON[number % len(POISON)])

    def flush(self) -> None:
        """Waits until the broker has every record."""
        self._producer.flush()

    def _send(self, key: bytes, value: bytes) -> None:
        self._producer.send(self._load.topic, key=key, value=value).add_errback(self.failed.append)


def run(load: Load, is_stopped: Callable[[], bool] = lambda: False) -> dict[str, float]:
    """Publishes `count` events, fewer if stopped. Returns how many, in how many seconds, and the greatest delay (ms).

    `failed` counts records that did not reach the broker, copies and poison included; `last_at` is the time (epoch s) of
    the last event.
    """
    publisher = _Publisher(load)
    start, late_s, sent = time.time() + 0.2, 0.0, 0
    for number in range(load.count):
        if is_stopped():
            break
        due_s = start + number / load.rate if load.rate else time.time()
        if (wait := due_s - time.time()) > 0:
            time.sleep(wait)
        late_s = max(late_s, time.time() - due_s)
        publisher.publish(number, due_s)
        sent += 1
    last_at = time.time()
    publisher.flush()
    return {
        "sent": sent,
        "failed": len(publisher.failed),
        "seconds": time.time() - start,
        "late_ms": late_s * 1000,
        "last_at": last_at,
    }


def publish(load: Load) -> dict[str, float]:
    """Runs the load in this process. Raises `BrokerError` if an event did not reach the broker."""
    report = run(load)
    if report["failed"] or report["sent"] != load.count:
        raise BrokerError(f"{load.count} events published", str(report), "liveshelf logs kafka")
    return report


def in_the_background(load: Load) -> "subprocess.Popen[str]":
    """Starts a process that publishes the load and prints its report: see `report_of`."""
    return child_process.start("benchmarks.measuring.load", load)


def report_of(generator: "subprocess.Popen[str]") -> dict[str, float]:
    """Waits for the end of a load in the background and returns its report. Raises `BrokerError` if an event did not
    reach the broker."""
    printed, _ = generator.communicate()
    try:
        report = dict[str, float](json.loads(printed))
    except ValueError:
        report = {}
    if generator.returncode or not report or report["failed"]:
        output = str(report) if report else f"exit {generator.returncode}, and its text above"
        raise BrokerError("all events of the load published", output, "liveshelf logs kafka, then run it again")
    return report


def rate_violations(report: dict[str, float], rate: float) -> list[str]:
    """The reasons why a load did not keep its rate; empty when it did."""
    if not report["sent"]:
        return ["the load generator sent nothing"]
    offered = report["sent"] / report["seconds"]
    if report["late_ms"] >= LATE_MS:
        return [f"the load generator fell {report['late_ms']:.0f} ms behind: the machine was too busy for this rate"]
    if offered < MIN_RATE_SHARE * rate:
        return [f"the load generator sent {offered:.0f} events/s instead of {rate:.0f}"]
    return []


def main() -> None:
    """Publishes until the end or SIGTERM; then flushes what was sent and counts it."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    print(json.dumps(run(msgspec.json.decode(sys.stdin.read(), type=Load), stopped.is_set)))


if __name__ == "__main__":
    main()
