"""The feed of a soak: every kind of record is one that the job takes or refuses, and it sends what it says."""

import random
import time
from collections import Counter

import msgspec
import pytest

from benchmarks.faults import hostile_feed
from benchmarks.faults.hostile_feed import Feed, Feeder, erased_user
from benchmarks.faults.hostile_records import catalogue_record, records
from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.records.catalogue_decode import read_item
from operators.records.contracts import CATALOGUE, DEAD_LETTER_REASONS, ERASURES, EVENTS
from operators.records.event_decode import EventDecoder, decode_erasure

Topic = tuple[str, bytes | None, bytes | None]


def outcome(key: bytes | None, value: bytes | None, now_ms: int) -> str:
    """What the decoder says of it: "good", or the reason."""
    try:
        EventDecoder(EventSettings()).decode((key or b"").decode("utf-8", "replace"), value, now_ms)
    except BadRecord as bad:
        return bad.reason
    return "good"


def test_every_kind_is_taken_or_refused_with_a_reason_that_is_known() -> None:
    rng, now_ms, outcomes = random.Random(1), int(time.time() * 1000), Counter[str]()
    for make in records().values():
        for number in range(20):
            result = outcome(*make(f"u-{number}", now_ms, rng), now_ms)
            assert result == "good" or result in DEAD_LETTER_REASONS
            outcomes[result] += 1
    assert set(DEAD_LETTER_REASONS) - set(outcomes) <= {"internal_error"}, "each reason is met"
    assert outcomes["good"] > 20


def is_readable(value: bytes) -> bool:
    try:
        read_item("", value)
    except BadRecord:
        return False
    return True


def test_catalogue_records_of_every_kind_are_read_or_unusable() -> None:
    rng = random.Random(2)
    records = [catalogue_record(rng) for _ in range(500)]
    assert len({kind for kind, _ in records}) == 10
    assert {is_readable(value) for _, value in records} == {True, False}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Topic]:
    monkeypatch.setattr(hostile_feed, "DELAY_S", 0.1)
    return []


def fed(sent: list[Topic], seconds: float, **fields: object) -> Feeder:
    feed = Feed(client={}, items=["i1", "i2", "i3"], tag="t", **fields)  # type: ignore[arg-type]
    feeder, until = Feeder(feed, lambda *record: sent.append(record)), time.monotonic() + seconds
    feeder.offer_all()
    assert feeder.run(lambda: time.monotonic() > until) < 1
    return feeder


def test_each_kind_comes_at_its_rate(sent: list[Topic]) -> None:
    feeder = fed(sent, 2, hostile_per_s=100, catalogue_per_s=200, erasures_per_s=10)
    assert feeder.hostile.total() == pytest.approx(200, abs=20)
    assert feeder.catalogue.total() == pytest.approx(400, abs=40)
    assert feeder.erased == pytest.approx(20, abs=3)
    topics = Counter(topic for topic, _, _ in sent)
    assert topics[CATALOGUE] == 3 + feeder.catalogue.total()
    assert topics[ERASURES] == feeder.erased
    assert len(feeder.hostile) == len(records()), "every kind within the first 200"
    assert {"changed", "sold out", "delisted", "of no model"} <= feeder.catalogue.keys()


def test_the_erased_are_erased_after_they_came_and_half_of_them_come_back_after_that(sent: list[Topic]) -> None:
    feeder = fed(sent, 1.5, hostile_per_s=0, catalogue_per_s=0, erasures_per_s=20)
    assert 0 < feeder.returned <= feeder.erased
    for number in range(feeder.returned):
        user = erased_user("t", number)
        records_of_user = [(topic, value) for topic, key, value in sent if key == user.encode()]
        assert [topic for topic, _ in records_of_user] == [EVENTS, ERASURES] + [EVENTS] * (number % 2)
        assert decode_erasure(user, records_of_user[1][1] or b"").erasure_id == hostile_feed.erasure_id("t", number)
        assert all(
            outcome(user.encode(), value, int(time.time() * 1000)) == "good" for topic, value in records_of_user[::2]
        )


def test_a_feed_crosses_to_its_process_as_json() -> None:
    feed = Feed(client={"bootstrap_servers": ["127.0.0.1:1"]}, items=["i"] * 5_000, tag="t", poisonous_ids=False)
    assert msgspec.json.decode(msgspec.json.encode(feed), type=Feed) == feed
    assert not any("poison" in kind for kind in records(poisonous_ids=False))
