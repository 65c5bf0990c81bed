"""The table over a fake consumer; the real broker is in tests/stack."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaConnectionError

from operators.compacted_table import CompactedTable

TOPIC = "t"


class Record(NamedTuple):
    offset: int
    key: bytes
    value: bytes | None


class Topic:
    """One partition that a test appends to; `broken` makes every call fail."""

    def __init__(self) -> None:
        self.log: list[Record] = []
        self.start = 0
        self.broken = False
        self.connects = 0

    def append(self, key: str, value: str | None) -> None:
        self.log.append(Record(self.start + len(self.log), key.encode(), None if value is None else value.encode()))

    def connect(self) -> "Consumer":
        self.connects += 1
        return Consumer(self)


class Consumer:
    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._at = 0
        self.seeks: list[int] = []

    def _check(self) -> None:
        if self._topic.broken:
            raise KafkaConnectionError("down")

    def partitions_for_topic(self, topic: str) -> set[int]:
        self._check()
        return {0}

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._check()

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {partitions[0]: self._topic.start}

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {partitions[0]: self._topic.start + len(self._topic.log)}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._at = offset

    def position(self, partition: TopicPartition) -> int:
        return self._at

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        self._check()
        found = self._topic.log[self._at - self._topic.start :][:max_records]
        self._at += len(found)
        if not found:
            time.sleep(0.005)
            return {}
        return {TopicPartition(TOPIC, 0): found}

    def close(self) -> None:
        pass


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def opened(folder: Path, topic: Topic, **options) -> CompactedTable:
    table = CompactedTable(TOPIC, folder, topic.connect, **options)
    assert table.open(5)
    return table


def test_it_is_complete_at_open_and_follows(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    topic.append("a", "2")
    table = opened(tmp_path, topic)
    assert table.get("a") == b"2"
    topic.append("b", "3")
    until(lambda: table.get("b") == b"3")
    topic.append("a", None)
    until(lambda: table.get("a") is None)
    assert dict(table.items()) == {"b": b"3"}
    assert table.age_s < 5
    table.close()


def test_after_a_restart_it_reports_its_copy_and_reads_only_what_is_new(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    opened(tmp_path, topic).close()
    topic.log[0] = Record(0, b"a", b"read again?")
    topic.append("b", "2")
    seen: list[tuple[str, bytes | None]] = []
    table = opened(tmp_path, topic, on_change=lambda key, value: seen.append((key, value)))
    assert seen == [("a", b"1"), ("b", b"2")]
    table.close()


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    long = Topic()
    for number in range(10):
        long.append("a", str(number))
    opened(tmp_path, long).close()
    short = Topic()
    short.append("a", "new")
    table = opened(tmp_path, short)
    assert table.get("a") == b"new"
    table.close()


def test_a_topic_cut_at_its_beginning_is_read_from_where_it_starts_now(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    opened(tmp_path, topic).close()
    topic.start, topic.log = 100, []
    topic.append("b", "2")
    table = opened(tmp_path, topic)
    assert (table.get("a"), table.get("b")) == (b"1", b"2")
    table.close()


def test_a_refused_record_changes_nothing(tmp_path: Path) -> None:
    topic = Topic()
    for value in ("3", "1", "4", "2"):
        topic.append("a", value)
    table = opened(tmp_path, topic, accept=lambda old, new: old is None or new is None or new >= old)
    assert table.get("a") == b"4"
    table.close()


def test_without_the_broker_the_last_copy_serves_and_it_comes_back(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    opened(tmp_path, topic).close()
    topic.broken = True
    table = CompactedTable(TOPIC, tmp_path, topic.connect)
    assert not table.open(0.05)
    assert (table.get("a"), table.complete, table.age_s) == (b"1", False, float("inf"))
    topic.append("b", "2")
    topic.broken = False
    until(lambda: table.complete and table.get("b") == b"2")
    table.close()


def test_close_gives_the_folder_and_the_thread_back(tmp_path: Path) -> None:
    before = threading.active_count()
    for _ in range(3):
        opened(tmp_path, Topic()).close()
    assert threading.active_count() == before


def test_an_error_that_is_not_the_brokers_does_not_end_the_thread(tmp_path: Path) -> None:
    """Such as a full disk, or a reader that fails on one record."""
    topic, failures = Topic(), [OSError("No space left on device"), ValueError("a reader's own")]
    topic.append("a", "1")

    def fails_twice(key: str, value: bytes | None) -> None:
        if failures:
            raise failures.pop()

    table = CompactedTable(TOPIC, tmp_path, topic.connect, on_change=fails_twice)
    assert table.open(10)
    topic.append("b", "2")
    until(lambda: table.get("b") == b"2")
    assert not failures


def test_a_topic_that_ends_with_a_transactions_marker_is_complete(tmp_path: Path) -> None:
    """The last offset is the marker's; no reader gets it as a record."""
    topic = Topic()
    topic.append("a", "1")

    class WithMarker(Consumer):
        def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
            return {partitions[0]: 2}

        def position(self, partition: TopicPartition) -> int:
            return self._at + 1 if self._at else 0

    table = CompactedTable(TOPIC, tmp_path, lambda: WithMarker(topic))
    assert table.open(5)


def test_a_damaged_copy_is_made_anew_from_the_topic(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    opened(tmp_path, topic).close()
    for file in tmp_path.glob("MANIFEST*"):
        file.write_bytes(b"\xff" * file.stat().st_size)
    table = opened(tmp_path, topic)
    assert table.get("a") == b"1"
    table.close()
