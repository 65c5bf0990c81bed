"""Reads the newest list of a user from the topic."""

from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition

from operators.kafka_io.partitioner import partition_of
from operators.records.contracts import RECOMMENDATIONS
from operators.settings import KafkaSettings
from pipelines.topics import list_reader
from tests.benchmarks.fakes import list_record


class Consumer:
    """One partition; a poll returns all its records."""

    def __init__(self, *records: Any) -> None:
        self.records = [SimpleNamespace(**vars(record) | {"offset": n}) for n, record in enumerate(records)]
        self.offset, self.closed, self.assigned = 0, False, list[TopicPartition]()

    def __call__(self, settings: KafkaSettings, **options: Any) -> "Consumer":
        assert options == {"auto_offset_reset": "earliest"}, "`latest` would skip to the end without a word"
        return self

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0, 1, 2, 3}

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, len(self.records))

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.offset = offset

    def position(self, partition: TopicPartition) -> int:
        return self.offset

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        records, self.offset = self.records[self.offset :], len(self.records)
        return {self.assigned[0]: records}

    def close(self) -> None:
        self.closed = True


def newest_version(monkeypatch: pytest.MonkeyPatch, consumer: Consumer) -> int | None:
    monkeypatch.setattr(list_reader, "new_consumer", consumer)
    newest = list_reader.newest_list(KafkaSettings(), "u1")
    assert consumer.closed and consumer.assigned == [TopicPartition(RECOMMENDATIONS, partition_of(b"u1", 4))]
    return newest.version if newest else None


def test_the_newest_list_of_the_user_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [list_record("u1", 2, 1), list_record("u2", 9, 1), list_record("u1", 3, 1), list_record("u1", 1, 1)]
    assert newest_version(monkeypatch, Consumer(*records)) == 3
    assert newest_version(monkeypatch, Consumer(list_record("u2", 9, 1))) is None
    assert newest_version(monkeypatch, Consumer()) is None
