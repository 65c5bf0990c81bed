"""Where a savepoint's sources stand, read from its `_metadata`.

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
    """The next offset to read of each partition; one of which nothing was read yet is left out.

    Raises `ClusterError` where the metadata does not know a partition, or says two things of one.
    """
    content = (savepoint / METADATA).read_bytes()
    found: dict[TopicPartition, int] = {}
    for topic in topics:
        there = set()
        for _, number, offset in _splits(content, topic):
            there.add(number)
            if offset < 0:
                continue
            place = TopicPartition(topic, number)
            if found.setdefault(place, offset) != offset:
                raise ClusterError(f"one offset for {topic}-{number} in {savepoint}", "two", "take another savepoint")
        if there != set(range(partitions)):
            raise ClusterError(
                f"the offsets of {partitions} partitions of {topic} in {savepoint}",
                f"those of {sorted(there)}",
                "take another savepoint; the format may be that of another connector",
            )
    return found


def move_offsets(savepoint: Path, stands: Mapping[TopicPartition, int]) -> None:
    """Rewrites a savepoint so that its sources go on at `stands`, for topics that were made anew.

    `stands` names each partition that `source_offsets` found. One of which nothing was read yet has no offset and gets
    none: its source asks for the group's.
    """
    content = bytearray((savepoint / METADATA).read_bytes())
    for topic in {place.topic for place in stands}:
        for at, number, offset in _splits(content, topic):
            if offset >= 0:
                _place.pack_into(content, at, number, stands[TopicPartition(topic, number)])
    (savepoint / METADATA).write_bytes(content)


def _splits(content: bytes | bytearray, topic: str) -> list[tuple[int, int, int]]:
    """(place in the metadata, partition, offset) of each split of a topic; an offset below 0 says where a split was to
    begin when it was found (-3: at the group's offset)."""
    name = topic.encode()
    pattern = re.escape(struct.pack(">H", len(name)) + name) + b"(.{12})" + re.escape(NO_END)
    return [(match.start(1), *_place.unpack(match[1])) for match in re.finditer(pattern, content, re.DOTALL)]
