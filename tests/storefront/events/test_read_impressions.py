"""Lists that were read count as shown, each once, and no reader waits for the broker."""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from operators.configuration.shop_settings import EventSettings
from operators.errors import BrokerError
from operators.records.contracts import Model, Reason
from operators.records.event_decode import EventDecoder
from storefront.events import read_impressions
from storefront.events.read_impressions import ReadImpressions
from storefront.view.served_list import ServedItem, ServedList
from tests.builders import NOW_MS


class Publisher:
    """Of `EventPublisher` what the impressions use; it may block, or fail."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.free = threading.Event()
        self.free.set()
        self.error: Exception | None = None

    def publish(self, events: Sequence[tuple[str, bytes]], timeout_s: float) -> None:
        self.free.wait()
        if self.error:
            raise self.error
        self.sent += events


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def counts() -> Counter[str]:
    return Counter()


@pytest.fixture
def impressions(publisher: Publisher, counts: Counter[str]) -> Iterator[ReadImpressions]:
    made = ReadImpressions(publisher, lambda outcome, count: counts.update({outcome: count}))  # type: ignore[arg-type]
    yield made
    publisher.free.set()
    made.close()


def answer(recommendation_id: str = "r1", *items: str, **fields: Any) -> ServedList:
    shown = [ServedItem(item_id=item, score=1.0, rank=n, reason=Reason("popular")) for n, item in enumerate(items, 1)]
    given = {
        "user_id": "u1", "known": True, "expired": False, "recommendation_id": recommendation_id, "epoch": 1, "version": 1,
        "source": "model", "model": Model("m", "1"), "event_time": NOW_MS, "event_id": "e", "generated_at": NOW_MS,
        "expires_at": None, "served_at": NOW_MS, "items": shown,
    }  # fmt: skip
    return ServedList(**(given | fields))  # type: ignore[arg-type]


def test_a_list_that_was_read_is_an_impression_that_the_job_takes(
    impressions: ReadImpressions, publisher: Publisher, counts: Counter[str]
) -> None:
    impressions.shown(answer("r1", "i1", "i2"))
    impressions.close()
    ((user, value),) = publisher.sent
    event = EventDecoder(EventSettings(max_age_days=36_500)).decode(user, value, json.loads(value)["event_time"])
    assert (event.event_type, event.user_id, event.items, event.recommendation_id) == (
        "impression",
        "u1",
        ["i1", "i2"],
        "r1",
    )
    assert event.event_id == "shown-r1", "the shop page gives it the same id"
    assert counts == {"published": 1}


def test_a_list_counts_once_and_nobodys_list_never(impressions: ReadImpressions, publisher: Publisher) -> None:
    for shown in (
        answer("r1", "i1"),
        answer("r1", "i1"),
        answer("r2", "i1"),
        answer("r3"),
        answer("popular", "i1", known=False),
    ):
        impressions.shown(shown)
    impressions.close()
    assert [json.loads(value)["recommendation_id"] for _, value in publisher.sent] == ["r1", "r2"]


def test_a_broker_that_is_away_costs_impressions_and_no_reader_waits(
    impressions: ReadImpressions, publisher: Publisher, counts: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.free.clear()
    for number in range(read_impressions.WAITING + 600):
        impressions.shown(answer(f"r{number}", "i1"))
    assert 0 < counts["dropped"] <= 600
    publisher.error = BrokerError("Kafka", "none", "start it")
    publisher.free.set()
    impressions.close()
    assert counts["failed"] == read_impressions.WAITING + 600 - counts["dropped"]
    assert publisher.sent == []


def test_only_the_newest_lists_are_remembered(
    impressions: ReadImpressions, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_impressions, "REMEMBERED", 2)
    for name in ("r1", "r2", "r3", "r1"):
        impressions.shown(answer(name, "i1"))
    impressions.close()
    assert len(publisher.sent) == 4, "the job drops the second impression of a list"
