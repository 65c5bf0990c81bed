"""The driver over a broker that is none, and a job that gives each user of a view one list."""

import time
from typing import Any

import pytest
from kafka.errors import TopicAuthorizationFailedError

from benchmarks.simulator import live_run as live
from benchmarks.simulator.crowd import Pace
from benchmarks.simulator.drift import Drift
from benchmarks.simulator.ledger import Window
from benchmarks.simulator.world import World
from operators.errors import BrokerError
from operators.kafka_io import event_publisher
from operators.settings import Settings
from pipelines.topics import list_follower
from tests.benchmarks.simulator.shops import small_world
from tests.liveshelf.fake_broker import Broker, Producer

MINUTES = 3.1 / 60


class Job(Producer):
    """Answers each event with a list of two items of the shop, and one that is not of this shop."""

    world: World
    versions = 0

    def send(self, topic: str, key: bytes, value: bytes) -> Producer:
        super().send(topic, key, value)
        Job.versions += 1
        names = [self.world.item_ids[7], "of-another-shop", self.world.item_ids[9]]
        items = [
            {"item_id": name, "score": 1.0, "rank": rank, "reason": {"kind": "for_you"}}
            for rank, name in enumerate(names)
        ]
        self.broker.append(key.decode(), Job.versions, recommendation_id=f"r{Job.versions}", items=items)
        return self


class Catalogue:
    """The producer of catalogue records."""

    sent: list[bytes]

    def send(self, topic: str, key: bytes, value: bytes) -> Any:
        self.sent.append(key)
        return self

    def get(self, timeout: float) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker, Catalogue.sent = Broker(), []
    monkeypatch.setattr(event_publisher, "new_producer", lambda settings, **more: Job(broker))
    monkeypatch.setattr(list_follower, "new_consumer", broker.consumer)
    monkeypatch.setattr(live, "new_producer", lambda settings: Catalogue())
    return broker


def run(drift: Drift) -> list[Window]:
    Job.world = world = small_world(drift, shoppers=60)
    pace = Pace(think_s=0.05, return_s=0.5)
    return [*live.live_run(world, pace, MINUTES, Settings(), None)]


def test_shoppers_see_the_lists_of_the_topic_and_their_clicks_name_them(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.simulator.ledger.WINDOW_S", 1.0)
    windows = run(Drift())
    assert [window.end_s for window in windows] == [1, 2, 3]
    assert sum(window.shown.looks for window in windows) > 20
    assert {name for window in windows for name in window.models} == {"m 1"}
    shown = [event for _, event in broker.sent if event["event_type"] == "impression"]
    assert shown and all(event["recommendation_id"].startswith("r") and len(event["items"]) == 3 for event in shown)
    now_ms = time.time() * 1000
    assert all(now_ms - 60_000 < event["event_time"] < now_ms for _, event in broker.sent)
    assert all(key.decode() == event["user_id"] for key, event in broker.sent)


def test_the_catalogue_is_published_first_and_new_items_when_they_arrive(broker: Broker) -> None:
    run(Drift(at_s=1.0))
    assert len(Catalogue.sent) == len({*Catalogue.sent}) == 240


def test_a_broker_that_refuses_ends_the_run(broker: Broker) -> None:
    broker.failure = TopicAuthorizationFailedError("no")
    with pytest.raises(BrokerError):
        run(Drift())
