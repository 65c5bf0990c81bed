"""The source offsets of a savepoint, read from its `_metadata`.

Flink keeps a source's position as connector state, small enough to lie in the metadata itself. A split is written by
flink-connector-kafka's KafkaPartitionSplitSerializer (version 0) as writeUTF(topic), writeInt(partition),
writeLong(starting offset), writeLong(stopping offset), the last being Long.MIN_VALUE for a stream without end.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from kafka import TopicPartition

from operators.errors import ClusterError

METADATA = "_metadata"
NO_END = struct.pack(">q", -(2**63))
_place = struct.Struct(">iq")


def source_offsets(savepoint: Path, topics: Iterable[str], partitions: int) -> dict[TopicPartition, int]:
    """The next offset to read of each partition; a partition that was never read is left out.

    Raises `ClusterError` where the metadata lacks a partition, or holds two offsets for one.
    """
    content = (savepoint / METADATA).read_bytes()
    offsets: dict[TopicPartition, int] = {}
    for topic in topics:
        numbers = set()
        for _, number, offset in _splits(content, topic):
            numbers.add(number)
            if offset < 0:
                continue
            place = TopicPartition(topic, number)
            if offsets.setdefault(place, offset) != offset:
                raise ClusterError(f"one offset for {topic}-{number} in {savepoint}", "two", "take another savepoint")
        if numbers != set(range(partitions)):
            raise ClusterError(
                f"the offsets of {partitions} partitions of {topic} in {savepoint}",
                f"those of {sorted(numbers)}",
                "take another savepoint; the format may be that of another connector",
            )
    return offsets


def move_offsets(savepoint: Path, new_offsets: Mapping[TopicPartition, int]) -> None:
    """Rewrites a savepoint so that its sources go on at `new_offsets`, for topics that were made anew.

    `new_offsets` holds each partition of `source_offsets`. A partition that was never read has no offset and gets none: its
    source asks for the group's.
    """
    content = bytearray((savepoint / METADATA).read_bytes())
    for topic in {place.topic for place in new_offsets}:
        for at, number, offset in _splits(content, topic):
            if offset >= 0:
                _place.pack_into(content, at, number, new_offsets[TopicPartition(topic, number)])
    (savepoint / METADATA).write_bytes(content)


def _splits(content: bytes | bytearray, topic: str) -> list[tuple[int, int, int]]:
    """(place in the metadata, partition, offset) of each split of a topic; an offset below 0 is a start position
    (-3: the group's offset) of a split that was never read."""
    name = topic.encode()
    pattern = re.escape(struct.pack(">H", len(name)) + name) + b"(.{12})" + re.escape(NO_END)
    return [(match.start(1), *_place.unpack(match[1])) for match in re.finditer(pattern, content, re.DOTALL)]
