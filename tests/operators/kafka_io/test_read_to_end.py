"""Reading to an end that is really reached."""

from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition

from operators.errors import BrokerError
from operators.kafka_io import read_to_end
from operators.kafka_io.read_to_end import TopicRange, read_between, records_left
from operators.settings import KafkaSettings

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


def topic_range(monkeypatch: pytest.MonkeyPatch, consumer: Consumer, **asked: Any) -> TopicRange:
    monkeypatch.setattr(read_to_end, "new_consumer", consumer)
    return TopicRange(KafkaSettings(), "shop.a", **asked)


def test_a_range_begins_where_the_state_stands_and_ends_at_the_end_of_then(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = Consumer()
    found = [(one.partition, one.offset) for one in topic_range(monkeypatch, consumer, after={1: 7})]
    assert sorted(found) == [(0, offset) for offset in range(10)] + [(1, offset) for offset in range(7, 10)]
    assert consumer.options["auto_offset_reset"] == "earliest", "`latest` would skip to the end without a word"


def test_records_that_retention_removed_before_or_meanwhile_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerError, match="from offset 7 on"):
        topic_range(monkeypatch, Consumer(begins=8), after={1: 7})
    consumer = Consumer()
    found = iter(topic_range(monkeypatch, consumer, after={1: 7}))
    next(found)
    consumer.begins = 9
    with pytest.raises(BrokerError, match="retention"):
        list(found)


def test_a_broker_that_sends_nothing_more_is_an_error_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 100_000, 10))
    monkeypatch.setattr(read_to_end, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    consumer = Consumer(silent_from=4)
    with pytest.raises(BrokerError, match="up to offset 10; came nothing after 4") as said:
        list(read_between(consumer, {ONE: 0, TWO: 0}, {ONE: 10, TWO: 10}))
    assert said.value.retriable


def test_reading_ends_early_where_it_is_told_to() -> None:
    consumer, polls = Consumer(), iter([False, True])
    consumer.assign([ONE])
    read = [record.offset for record in read_between(consumer, {ONE: 2}, {ONE: 10}, lambda: next(polls))]
    assert read == [2, 3, 4] and records_left(consumer, {ONE: 10}) == 5


def test_records_behind_the_end_are_left_for_who_seeks() -> None:
    consumer = Consumer()
    consumer.assign([ONE])
    assert [record.offset for record in read_between(consumer, {ONE: 0}, {ONE: 4})] == [0, 1, 2, 3]
    assert consumer.position(ONE) == 6
