"""A topic as a file and back: one JSON line a record, gzip, keys, values and headers as base64, and the record's time."""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import new_producer
from operators.settings import KafkaSettings

IN_FLIGHT = 16 << 20  # bytes: the producer itself takes all that it is given
LARGEST = 2 << 20  # of a record: what topics of dead letters take


class Archived(msgspec.Struct, kw_only=True):
    """A record: its place and time (epoch ms) on the topic it came from, and its bytes.

    Older archives have no time, no offset, and the headers as an object.
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
class Imported:
    """Of each partition: how many records were published, and the offset of the first that the state has not seen."""

    ends: dict[int, int] = field(default_factory=dict)
    unseen: dict[int, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """Of all partitions."""
        return sum(self.ends.values())

    def take(self, record: Archived, seen_until: Mapping[int, int]) -> None:
        """Counts a record; one without an offset was not seen."""
        at = self.ends.get(record.partition, 0)
        self.ends[record.partition] = at + 1
        if record.offset is None or record.offset >= seen_until.get(record.partition, 0):
            self.unseen.setdefault(record.partition, at)

    def stands(self, partition: int) -> int:
        """Where a state goes on that has seen all before: at the end where it has seen everything."""
        return self.unseen.get(partition, self.ends.get(partition, 0))


def export_records(records: Iterable[Any], file: Path) -> int:
    """Writes what a consumer read; returns how many."""
    count = 0
    with gzip.open(file, "wb", compresslevel=3) as lines:
        for one in records:
            archived = Archived(
                partition=one.partition,
                offset=one.offset,
                timestamp=one.timestamp,
                key=one.key,
                value=one.value,
                headers=list(one.headers),
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
    settings: KafkaSettings, topic: str, file: Path, made_ms: int, seen_until: Mapping[int, int] | None = None
) -> Imported:
    """Publishes the records of a file to the partitions they had, in their order, at the times they had.

    The topic must be empty, take the times of its producers, and have no other producer meanwhile. `made_ms`: the time
    of records without one. `seen_until`: partition -> the first offset, on the topic they came from, that the state has
    not seen. Raises `BrokerError` when a record was not taken, or not with its time.
    """
    producer = new_producer(settings, max_request_size=LARGEST)
    sent, imported, waiting = _Sent(topic), Imported(), 0
    try:
        for record in read_archive(file):
            headers = record.headers.items() if isinstance(record.headers, dict) else record.headers
            time_ms = made_ms if record.timestamp is None else record.timestamp
            sent.expect(
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
            imported.take(record, seen_until or {})
            waiting += len(record.value or b"") + 512
            if waiting > IN_FLIGHT:
                producer.flush()
                sent.check()
                waiting = 0
        producer.flush()
    finally:
        producer.close()
    sent.check()
    return imported


class _Sent:
    """What the broker says of the records of one import."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._wrong = ""

    def expect(self, future: Any, time_ms: int) -> None:
        future.add_errback(lambda error: self._note(repr(error)))
        future.add_callback(lambda taken: self._compare(taken.timestamp, time_ms))

    def check(self) -> None:
        if self._wrong:
            raise BrokerError(
                f"{self._topic} to take each record with its time",
                self._wrong,
                "look at the broker, and restore into topics that are empty again",
            )

    def _compare(self, found_ms: int, time_ms: int) -> None:
        if found_ms != time_ms:
            self._note(f"{found_ms} instead of {time_ms} (epoch ms): message.timestamp.type")

    def _note(self, text: str) -> None:
        self._wrong = self._wrong or text
