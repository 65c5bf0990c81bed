"""A topic to a file and back: gzip, one JSON line a record with its time; keys, values and headers as base64."""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import new_producer
from operators.settings import KafkaSettings

MAX_IN_FLIGHT = 16 << 20  # bytes: kafka-python's producer has no limit of its own
MAX_RECORD = 2 << 20  # bytes: the limit of the topic of dead letters


class Archived(msgspec.Struct, kw_only=True):
    """A record with the partition, offset and time (epoch ms) that it had.

    Older archives have no time and no offset, and hold the headers as an object.
    """

    partition: int
    offset: int | None = None
    timestamp: int | None = None
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] | dict[str, bytes]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Archived).decode


@dataclass
class TopicImport:
    """Offsets of an import. `ends`: partition -> records published; `unseen`: partition -> new offset of the first record
    that the state has not seen."""

    ends: dict[int, int] = field(default_factory=dict)
    unseen: dict[int, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """Number of records in all partitions."""
        return sum(self.ends.values())

    def take(self, record: Archived, seen_until: Mapping[int, int]) -> None:
        """Counts a record. A record without an offset counts as unseen."""
        new_offset = self.ends.get(record.partition, 0)
        self.ends[record.partition] = new_offset + 1
        if record.offset is None or record.offset >= seen_until.get(record.partition, 0):
            self.unseen.setdefault(record.partition, new_offset)

    def next_offset(self, partition: int) -> int:
        """Where the state continues: at the first unseen record, else at the end."""
        return self.unseen.get(partition, self.ends.get(partition, 0))


def export_records(records: Iterable[Any], file: Path) -> int:
    """Writes records of a consumer to a file; returns how many."""
    count = 0
    with gzip.open(file, "wb", compresslevel=3) as lines:
        for record in records:
            archived = Archived(
                partition=record.partition,
                offset=record.offset,
                timestamp=record.timestamp,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
            )
            lines.write(_encode(archived) + b"\n")
            count += 1
    return count


def read_archive(file: Path) -> Iterator[Archived]:
    """The records of a file, one at a time."""
    with gzip.open(file, "rb") as lines:
        for line in lines:
            yield _decode(line)


def import_records(
    settings: KafkaSettings, topic: str, file: Path, backup_ms: int, seen_until: Mapping[int, int] | None = None
) -> TopicImport:
    """Publishes the records of a file with their partition, order and time.

    The topic must be empty, use CreateTime and have no other producer. `backup_ms`: the time for records without one.
    `seen_until`: partition -> first offset on the original topic that the state has not seen. Raises `BrokerError`
    when the broker refuses a record, or stores it with another time.
    """
    producer = new_producer(settings, max_request_size=MAX_RECORD)
    acknowledgements, topic_import, in_flight = _Acknowledgements(topic), TopicImport(), 0
    try:
        for record in read_archive(file):
            headers = record.headers.items() if isinstance(record.headers, dict) else record.headers
            time_ms = backup_ms if record.timestamp is None else record.timestamp
            acknowledgements.expect(
                producer.send(
                    topic,
                    record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=[(name, value or b"") for name, value in headers],
                    timestamp_ms=time_ms,
                ),
                time_ms,
            )
            topic_import.take(record, seen_until or {})
            in_flight += len(record.value or b"") + 512
            if in_flight > MAX_IN_FLIGHT:
                producer.flush()
                acknowledgements.check()
                in_flight = 0
        producer.flush()
    finally:
        producer.close()
    acknowledgements.check()
    return topic_import


class _Acknowledgements:
    """The broker's answers for the records of one import; keeps the first error."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._first_error = ""

    def expect(self, future: Any, time_ms: int) -> None:
        future.add_errback(lambda error: self._keep_first(repr(error)))
        future.add_callback(lambda metadata: self._compare(metadata.timestamp, time_ms))

    def check(self) -> None:
        if self._first_error:
            raise BrokerError(
                f"{self._topic} to take each record with its time",
                self._first_error,
                "look at the broker, and restore into topics that are empty again",
            )

    def _compare(self, broker_ms: int, time_ms: int) -> None:
        if broker_ms != time_ms:
            self._keep_first(f"{broker_ms} instead of {time_ms} (epoch ms): message.timestamp.type")

    def _keep_first(self, error: str) -> None:
        self._first_error = self._first_error or error
