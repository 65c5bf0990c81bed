"""Reading to an end that is really reached."""

from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition

from operators.errors import BrokerError, ClusterError
from operators.settings import KafkaSettings, Settings
from pipelines.submission import reading_progress
from pipelines.submission.reading_progress import wait_until_read
from pipelines.topics import topic_stretch
from pipelines.topics.topic_stretch import Stretch, records_between

ONE, TWO = TopicPartition("shop.a", 0), TopicPartition("shop.a", 1)


class Consumer:
    """A topic of 10 records in each of two partitions, three of which come at a time, and `silent` ones from an offset on."""

    def __init__(self, silent_from: int = 100, begins: int = 0) -> None:
        self.at: dict[TopicPartition, int] = {}
        self.silent_from, self.begins, self.options = silent_from, begins, {}

    def __call__(self, settings: KafkaSettings, **options: Any) -> "Consumer":
        self.options = options
        return self

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0, 1}

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.at = dict.fromkeys(partitions, 0)

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.begins)

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 10)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.at[place] = offset

    def position(self, place: TopicPartition) -> int:
        return self.at[place]

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        found = {}
        for place, at in self.at.items():
            offsets = range(at, min(at + 3, self.silent_from, 12))
            if offsets:
                found[place] = [SimpleNamespace(partition=place.partition, offset=offset) for offset in offsets]
                self.at[place] = offsets[-1] + 1
        return found

    def close(self) -> None:
        pass


def stretch(monkeypatch: pytest.MonkeyPatch, consumer: Consumer, **asked: Any) -> Stretch:
    monkeypatch.setattr(topic_stretch, "new_consumer", consumer)
    return Stretch(KafkaSettings(), "shop.a", **asked)


def test_a_stretch_begins_where_the_state_stands_and_ends_at_the_end_of_then(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = Consumer()
    found = [(one.partition, one.offset) for one in stretch(monkeypatch, consumer, after={1: 7})]
    assert sorted(found) == [(0, offset) for offset in range(10)] + [(1, offset) for offset in range(7, 10)]
    assert consumer.options["auto_offset_reset"] == "earliest", "`latest` would skip to the end without a word"


def test_records_that_retention_removed_before_or_meanwhile_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerError, match="from offset 7 on"):
        stretch(monkeypatch, Consumer(begins=8), after={1: 7})
    consumer = Consumer()
    found = iter(stretch(monkeypatch, consumer, after={1: 7}))
    next(found)
    consumer.begins = 9
    with pytest.raises(BrokerError, match="retention"):
        list(found)


def test_a_broker_that_sends_nothing_more_is_an_error_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 100_000, 10))
    monkeypatch.setattr(topic_stretch, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    consumer = Consumer(silent_from=4)
    with pytest.raises(BrokerError, match="up to offset 10; came nothing after 4") as said:
        list(records_between(consumer, {ONE: 0, TWO: 0}, {ONE: 10, TWO: 10}))
    assert said.value.retriable


class Admin:
    """The group's offset after each look, the last one for ever."""

    def __init__(self, *offsets: int) -> None:
        self._offsets = list(offsets)

    def __call__(self, settings: KafkaSettings, **options: Any) -> "Admin":
        return self

    def list_group_offsets(self, groups: list[str]) -> Any:
        offset = self._offsets.pop(0) if len(self._offsets) > 1 else self._offsets[0]
        return {groups[0]: {ONE: SimpleNamespace(offset=offset)}}

    def close(self) -> None:
        pass


def read(monkeypatch: pytest.MonkeyPatch, admin: Admin, *jobs: str) -> None:
    seconds = iter(range(0, 100_000, 50))
    clock = SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda seconds: None)
    cluster = SimpleNamespace(jobs=lambda: [{"jid": job} for job in jobs], close=lambda: None)
    monkeypatch.setattr(reading_progress, "time", clock)
    monkeypatch.setattr(reading_progress, "new_admin", admin)
    monkeypatch.setattr(reading_progress, "Cluster", lambda url: cluster)
    wait_until_read(Settings.of_dump(Settings.model_construct().model_dump()), "a", {ONE: 30, TWO: 0})


def test_a_job_is_waited_for_as_long_as_it_gets_on(monkeypatch: pytest.MonkeyPatch) -> None:
    read(monkeypatch, Admin(*range(0, 31)), "a")


def test_a_job_that_stands_still_or_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerError, match="topics create --alter"):
        read(monkeypatch, Admin(0, 5), "a")
    with pytest.raises(ClusterError, match="it ended"):
        read(monkeypatch, Admin(0, 5), "another")
