"""Where a savepoint's sources stand, read from its `_metadata`.

Flink keeps a source's position as connector state, small enough to lie in the metadata itself. A split is written by
flink-connector-kafka's KafkaPartitionSplitSerializer (version 0) as writeUTF(topic), writeInt(partition),
writeLong(starting offset), writeLong(stopping offset), the last being Long.MIN_VALUE for a stream without end.
"""

import re
import struct
from collections.abc import Iterable
from pathlib import Path

from kafka import TopicPartition

from operators.errors import ClusterError

NO_END = struct.pack(">q", -(2**63))
_place = struct.Struct(">iq")


def source_offsets(savepoint: Path, topics: Iterable[str], partitions: int) -> dict[TopicPartition, int]:
    """The next offset to read of each partition; one of which nothing was read yet is left out.

    Raises `ClusterError` where the metadata does not know a partition, or says two things of one.
    """
    content = (savepoint / "_metadata").read_bytes()
    found: dict[TopicPartition, int] = {}
    for topic in topics:
        name = topic.encode()
        pattern = re.escape(struct.pack(">H", len(name)) + name) + b"(.{12})" + re.escape(NO_END)
        there = set()
        for match in re.finditer(pattern, content, re.DOTALL):
            number, offset = _place.unpack(match[1])
            there.add(number)
            if offset < 0:  # where a split was to begin when it was found (-3: at the group's offset)
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
