"""The load generator with a producer that only remembers."""

import json
from collections import Counter
from typing import Any

import pytest

from benchmarks.measuring import load
from benchmarks.running_stack.freshness import sent_per_user


class Producer:
    """Keeps key and value of each record."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes]] = []

    def send(self, topic: str, key: bytes, value: bytes) -> "Producer":
        assert topic == "shop.events.v1"
        self.records.append((key, value))
        return self

    def add_errback(self, failed: Any) -> None:
        pass

    def flush(self) -> None:
        pass


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> Producer:
    fake = Producer()
    monkeypatch.setattr(load, "connect", lambda *_: fake)
    return fake


def load_of(**fields: Any) -> load.Load:
    return load.Load(**({"client": {}, "items": ["a", "b"], "count": 500, "rate": 0, "users": 20, "tag": "t"} | fields))


def test_the_same_seed_gives_the_same_users(producer: Producer) -> None:
    order = load_of()
    report = load.run(order)
    assert report["sent"] == 500 and report["failed"] == 0
    users = Counter(json.loads(value)["user_id"] for _, value in producer.records)
    assert users == sent_per_user(order)
    assert [json.loads(value)["event_id"] for _, value in producer.records] == [f"t-{n}" for n in range(500)]


def test_defects_do_not_change_the_events(producer: Producer) -> None:
    load.run(load_of(duplicates=0.1, poison=0.1))
    values = Counter(value for _, value in producer.records)
    events = {value: count for value, count in values.items() if value not in load.POISON}
    assert len(events) == 500 and set(events.values()) == {1, 2}
    users = Counter(json.loads(value)["user_id"] for value in events)
    assert users == sent_per_user(load_of())
    assert sum(values[poison] for poison in load.POISON) > 20


def test_a_stopped_load_reports_what_it_sent(producer: Producer) -> None:
    report = load.run(load_of(), is_stopped=lambda: len(producer.records) == 7)
    assert report["sent"] == len(producer.records) == 7


def test_users_in_turn_are_numbered_by_the_stride(producer: Producer) -> None:
    load.run(load_of(count=4, each_user_once=True, stride=3, first=10))
    assert [key.decode() for key, _ in producer.records] == [f"t-{(10 + n) * 3 % 20}" for n in range(4)]
