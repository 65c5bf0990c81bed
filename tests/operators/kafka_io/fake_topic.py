"""A compacted topic without a broker, and the table over it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaConnectionError, KafkaTimeoutError

from operators.kafka_io.compacted_table import CompactedTable
from operators.time_units import DAY_MS
from tests.operators.kafka_io.plain_rows import PlainRows

TOPIC = "t"


GONE = b"gone"


class Record(NamedTuple):
    offset: int
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012


class Topic:
    """One partition that a test appends to; `broken` makes every call fail, `mute` leaves every poll without an answer."""

    def __init__(self, topic_id: str | None = "first") -> None:
        self.id = topic_id
        self.log: list[Record] = []
        self.start = 0
        self.end = 0
        self.unread = 0  # records that the end counts and no poll brings yet
        self.most = 5000  # records a poll
        self.partitions = {0}
        self.tombstones_ms: int | None = 7 * DAY_MS
        self.broken = self.mute = False
        self.connects = 0

    def append(self, key: str, value: str | None, *headers: tuple[str, bytes]) -> None:
        self.log.append(Record(self.end, key.encode(), None if value is None else value.encode(), [*headers]))
        self.end += 1

    def compact(self, *keys: str) -> None:
        """What the log cleaner does: only the newest record of a key stays, and of `keys` not even the tombstone."""
        newest = {record.key: record for record in self.log}
        self.log = sorted(record for key, record in newest.items() if key.decode() not in keys)

    def connect(self) -> "Consumer":
        self.connects += 1
        return Consumer(self)


class Consumer:
    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._at = 0

    def _check(self) -> None:
        if self._topic.broken:
            raise KafkaConnectionError("down")

    def topic_id(self, topic: str) -> str | None:
        return self._topic.id

    def tombstones_ms(self, topic: str) -> int | None:
        return self._topic.tombstones_ms

    def partitions_for_topic(self, topic: str) -> set[int]:
        self._check()
        return self._topic.partitions

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._check()

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self._topic.start if partition.partition == 0 else 0 for partition in partitions}

    def end_offsets(self, partitions: list[TopicPartition], timeout_ms: int | None = None) -> dict[TopicPartition, int]:
        if self._topic.mute:
            raise KafkaTimeoutError("no answer")
        end = self._topic.end + self._topic.unread
        return {partition: end if partition.partition == 0 else 0 for partition in partitions}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition.partition == 0:
            self._at = offset

    def position(self, partition: TopicPartition) -> int:
        return self._at if partition.partition == 0 else 0

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        self._check()
        found = [] if self._topic.mute else [record for record in self._topic.log if record.offset >= self._at]
        found = found[: min(max_records, self._topic.most)]
        if not found:
            self._at = self._at if self._topic.mute else self._topic.end
            time.sleep(min(timeout_ms, 5) / 1000)
            return {}
        self._at = found[-1].offset + 1
        return {TopicPartition(TOPIC, 0): found}

    def close(self) -> None:
        pass


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def made(folder: Path, topic: Topic, rule: PlainRows | None = None, **options) -> CompactedTable[bytes]:
    return CompactedTable(TOPIC, folder, topic.connect, rule or PlainRows(GONE), **options)


def opened(folder: Path, topic: Topic, rule: PlainRows | None = None, **options) -> CompactedTable[bytes]:
    table = made(folder, topic, rule, **options)
    assert table.open(5)
    return table


class Told(list[tuple[str, bytes | None]]):
    """What a table told."""

    def __call__(self, key: str, value: bytes | None) -> None:
        self.append((key, value))


class Clock:
    """Epoch ms that a test sets."""

    def __init__(self) -> None:
        self.now = 1_760_000_000_000

    def __call__(self) -> int:
        return self.now
