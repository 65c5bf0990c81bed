"""A topic as a file and back: one JSON line a record, gzip, keys, values and headers as base64."""

import gzip
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from kafka import TopicPartition

from operators.errors import BrokerError
from operators.kafka_clients import new_producer
from operators.settings import KafkaSettings

FILLER = b"filler"  # a record that only stands for an offset; the job starts behind it


class Archived(msgspec.Struct):
    """A record: its partition, and its bytes."""

    partition: int
    key: str | None
    value: str | None
    headers: dict[str, str]


def export_records(records: Iterable[Any], file: Path) -> int:
    """Writes what a consumer read; returns how many."""
    count = 0
    encode = msgspec.json.Encoder().encode
    with gzip.open(file, "wb", compresslevel=3) as lines:
        for record in records:
            headers = {name: _text(value) or "" for name, value in record.headers}
            lines.write(encode(Archived(record.partition, _text(record.key), _text(record.value), headers)) + b"\n")
            count += 1
    return count


def read_archive(file: Path) -> Iterator[Archived]:
    """The records of a file."""
    decode = msgspec.json.Decoder(Archived).decode
    with gzip.open(file, "rb") as lines:
        for line in lines:
            yield decode(line)


def import_records(
    settings: KafkaSettings, topic: str, file: Path, starts: dict[TopicPartition, int] | None = None
) -> int:
    """Publishes the records of a file to the partitions they had, in their order; returns how many.

    `starts`: the offset at which each partition's first record must lie, where it matters (0 elsewhere); the places
    before are filled. Raises `BrokerError` when a record was not taken.
    """
    producer = new_producer(settings, max_request_size=2 * 1024 * 1024)
    failed: list[BaseException] = []
    for place, offset in (starts or {}).items():
        for _ in range(offset):
            producer.send(topic, FILLER, partition=place.partition).add_errback(failed.append)
    count = 0
    for record in read_archive(file):
        headers = [(name, b64decode(value)) for name, value in record.headers.items()]
        sent = producer.send(
            topic, _bytes(record.value), key=_bytes(record.key), partition=record.partition, headers=headers
        )
        sent.add_errback(failed.append)
        count += 1
    producer.flush()
    producer.close()
    if failed:
        raise BrokerError(
            f"{topic} to take {count} records", f"{len(failed)} refused: {failed[0]!r}", "look at the broker"
        )
    return count


def _text(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
