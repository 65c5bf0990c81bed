"""The load generator, a process of its own: `python -m benchmarks.measuring.load` reads a `Load` as JSON from stdin and prints
what it did as JSON. (Not from the command line, which all users of a machine can read: a password may be in it.)

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

LATE_MS = 1000.0  # of any event: beyond it a latency is the generator's, and a rate was not offered
KEPT_RATE = 0.95  # of the rate asked for


class Load(msgspec.Struct, kw_only=True):
    """`rate` 0: as fast as it goes. Users are `tag`-0 … `tag`-(users - 1); items are drawn with a Zipf-like skew.

    Events have the numbers from `first` on, which are in their ids.
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
    each_user_once: bool = False  # users in turn instead of by chance
    stride: int = 1  # from one user's turn to the next one's; prime to `users`
    duplicates: float = 0.0  # share of events that are sent a second time, a little later
    poison: float = 0.0  # share of records that are no event, one after the other of `POISON`
    patience_s: float = 120.0  # how long a record may wait for the broker


POISON = (
    b"", b"{", b"\xff\xfe", b"[1,2]", b"[" * 5_000, b'{"event_id":"x"}', b"x" * 100_000,
    b'{"event_id":"p","event_type":"teleport","event_time":1,"user_id":"p","item_id":"i"}',
    b'{"event_id":"p","event_type":"view","event_time":NaN,"user_id":"p","item_id":"i"}',
    b'{"event_id":"p","event_type":"view","event_time":-1,"user_id":"p","item_id":"i"}',
)  # fmt: skip
SECOND_COPY = 37  # events later


def run(load: Load, told_to_stop: Callable[[], bool] = lambda: False) -> dict[str, float]:
    """Publishes `count` events, fewer when told to stop; returns how many, in what time, and how late it ever was (ms).

    `failed` counts records that did not reach the broker, copies and poison among them; `last_at` is the moment (epoch s)
    of the last event.
    """
    chance = random.Random(load.seed)
    spoiler = random.Random(-load.seed)
    own = {
        "acks": "all",
        "linger_ms": 2 if load.rate else 20,
        "batch_size": 131_072,
        "delivery_timeout_ms": int(load.patience_s * 1000),
        "max_block_ms": int(load.patience_s * 1000),
    }
    producer = connect(KafkaProducer, load.client | own)
    copies: deque[tuple[int, bytes, bytes]] = deque()
    picks = [load.items[int(len(load.items) * chance.random() ** 2)] for _ in range(10_000)]
    start, late_s, failed = time.time() + 0.2, 0.0, []
    sent = 0
    for number in range(load.count):
        if told_to_stop():
            break
        due_s = start + number / load.rate if load.rate else time.time()
        if (wait := due_s - time.time()) > 0:
            time.sleep(wait)
        late_s = max(late_s, time.time() - due_s)
        turn = (load.first + number) * load.stride % load.users if load.each_user_once else chance.randrange(load.users)
        user = f"{load.tag}-{turn}"
        value = (
            f'{{"event_id":"{load.tag}-{load.first + number}","event_type":"view","event_time":{int(due_s * 1000)},'
            f'"user_id":"{user}","item_id":"{picks[number % 10_000]}"}}'
        )
        producer.send(load.topic, key=user.encode(), value=value.encode()).add_errback(failed.append)
        sent += 1
        if spoiler.random() < load.duplicates:
            copies.append((number + SECOND_COPY, user.encode(), value.encode()))
        if copies and copies[0][0] <= number:
            _, key, copy = copies.popleft()
            producer.send(load.topic, key=key, value=copy).add_errback(failed.append)
        if spoiler.random() < load.poison:
            producer.send(load.topic, key=user.encode(), value=POISON[number % len(POISON)]).add_errback(failed.append)
    last_at = time.time()
    producer.flush()
    return {
        "sent": sent,
        "failed": len(failed),
        "seconds": time.time() - start,
        "late_ms": late_s * 1000,
        "last_at": last_at,
    }


def publish(load: Load) -> dict[str, float]:
    """As `run`, in this process. Raises `BrokerError` where not all of it reached the broker."""
    report = run(load)
    if report["failed"] or report["sent"] != load.count:
        raise BrokerError(f"{load.count} events published", str(report), "liveshelf logs kafka")
    return report


def in_the_background(load: Load) -> "subprocess.Popen[str]":
    """A process of its own that publishes the load, and prints what it did as JSON: see `report_of`."""
    return child_process.start("benchmarks.measuring.load", load)


def report_of(generator: "subprocess.Popen[str]") -> dict[str, float]:
    """What a load in the background did, when it has ended. Raises `BrokerError` where not all of it reached the broker."""
    printed, _ = generator.communicate()
    try:
        report = dict[str, float](json.loads(printed))
    except ValueError:
        report = {}
    if generator.returncode or not report or report["failed"]:
        output = str(report) if report else f"exit {generator.returncode}, and its text above"
        raise BrokerError("all events of the load published", output, "liveshelf logs kafka, then run it again")
    return report


def behind_its_rate(report: dict[str, float], rate: float) -> list[str]:
    """Why a load did not offer the rate that was asked for; empty where it did."""
    if not report["sent"]:
        return ["the load generator sent nothing"]
    offered = report["sent"] / report["seconds"]
    if report["late_ms"] >= LATE_MS:
        return [f"the load generator fell {report['late_ms']:.0f} ms behind: the machine was too busy for this rate"]
    if offered < KEPT_RATE * rate:
        return [f"the load generator sent {offered:.0f} events/s instead of {rate:.0f}"]
    return []


def main() -> None:
    """Until all is sent, or until SIGTERM: then what was sent is still delivered, and counted."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    print(json.dumps(run(msgspec.json.decode(sys.stdin.read(), type=Load), stopped.is_set)))


if __name__ == "__main__":
    main()
