import json
import time
from itertools import pairwise
from typing import Any

from operators.records.contracts import EVENTS
from pipelines.topics.replayer import ReplayRate, replay
from tests.builders import NOW_MS, event


class Producer:
    """Records each send with its time."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, str, bytes, dict[str, Any]]] = []

    def send(self, topic: str, key: bytes, value: bytes) -> "Producer":
        self.sent.append((time.time(), topic, key, json.loads(value)))
        return self

    def add_errback(self, _: object) -> None:
        pass

    def flush(self) -> None:
        pass


def test_a_rate_is_kept_and_the_intended_time_goes_along() -> None:
    producer = Producer()
    progress = replay([event(n) for n in range(21)], ReplayRate(rate=100), producer)
    first, last = producer.sent[0], producer.sent[-1]
    assert progress.sent == 21
    assert 0.19 <= last[0] - first[0] < 1
    assert last[3]["event_time"] - first[3]["event_time"] == 200
    assert first[1:3] == (EVENTS, b"u1")


def test_a_speed_up_divides_the_gaps() -> None:
    producer = Producer()
    replay([event(0), event(10), event(30)], ReplayRate(speedup=100), producer)
    times = [body["event_time"] for _, _, _, body in producer.sent]
    assert [after - before for before, after in pairwise(times)] == [100, 200]


def test_times_can_be_kept() -> None:
    producer = Producer()
    replay([event(5)], ReplayRate(), producer, keep_times=True)
    assert producer.sent[0][3]["event_time"] == NOW_MS + 5000


def test_a_replay_can_be_stopped_in_a_gap() -> None:
    producer = Producer()
    started = time.monotonic()
    replay([event(0), event(3600)], ReplayRate(speedup=1), producer, stop=lambda: time.monotonic() - started > 0.1)
    assert len(producer.sent) == 1
    assert time.monotonic() - started < 2
