"""The source offsets of a savepoint, read from its `_metadata`.

A source's offsets are connector state, which is small, so Flink keeps it in the metadata itself.
flink-connector-kafka's KafkaPartitionSplitSerializer (version 0) writes a split as writeUTF(topic),
writeInt(partition), writeLong(starting offset), writeLong(stopping offset). The stopping offset of an unbounded stream
is Long.MIN_VALUE.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from kafka import TopicPartition

from operators.errors import ClusterError

METADATA = "_metadata"
NO_END = struct.pack(">q", -(2**63))
_partition_and_offset = struct.Struct(">iq")


def source_offsets(savepoint: Path, topics: Iterable[str], partitions: int) -> dict[TopicPartition, int]:
    """The next offset of each partition, without partitions that were never read.

    Raises `ClusterError` if the metadata lacks a partition, or holds two offsets for one.
    """
    content = (savepoint / METADATA).read_bytes()
    offsets: dict[TopicPartition, int] = {}
    for topic in topics:
        numbers = set()
        for _, number, offset in _splits(content, topic):
            numbers.add(number)
            if offset < 0:
                continue
            partition = TopicPartition(topic, number)
            if offsets.setdefault(partition, offset) != offset:
                raise ClusterError(f"one offset for {topic}-{number} in {savepoint}", "two", "take another savepoint")
        if numbers != set(range(partitions)):
            raise ClusterError(
                f"the offsets of {partitions} partitions of {topic} in {savepoint}",
                f"those of {sorted(numbers)}",
                "take another savepoint; the format may be that of another connector",
            )
    return offsets


def move_offsets(savepoint: Path, new_offsets: Mapping[TopicPartition, int]) -> None:
    """Rewrites the source offsets of a savepoint, for topics that were created anew.

    `new_offsets` holds each partition of `source_offsets`. Partitions that were never read keep their marker for the
    group's offset.
    """
    content = bytearray((savepoint / METADATA).read_bytes())
    for topic in {partition.topic for partition in new_offsets}:
        for position, number, offset in _splits(content, topic):
            if offset >= 0:
                _partition_and_offset.pack_into(content, position, number, new_offsets[TopicPartition(topic, number)])
    (savepoint / METADATA).write_bytes(content)


def _splits(content: bytes | bytearray, topic: str) -> list[tuple[int, int, int]]:
    """(position in the metadata, partition, offset) of each split of a topic. A negative offset marks a split that was
    never read (-3: start at the group's offset)."""
    name = topic.encode()
    pattern = re.escape(struct.pack(">H", len(name)) + name) + b"(.{12})" + re.escape(NO_END)
    return [
        (match.start(1), *_partition_and_offset.unpack(match[1])) for match in re.finditer(pattern, content, re.DOTALL)
    ]
