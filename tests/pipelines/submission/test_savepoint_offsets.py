import struct
from pathlib import Path

import pytest
from kafka import TopicPartition

from operators.errors import ClusterError
from pipelines.submission.savepoint_offsets import move_offsets, source_offsets


def split(topic: str, partition: int, offset: int) -> bytes:
    """As KafkaPartitionSplitSerializer writes it."""
    name = topic.encode()
    return struct.pack(">H", len(name)) + name + struct.pack(">iqq", partition, offset, -(2**63))


def savepoint(folder: Path, *splits: bytes) -> Path:
    (folder / "_metadata").write_bytes(b"\x42noise" + b"\x00\x24".join(splits) + b"shop.a noise")
    return folder


def test_the_readers_offsets_are_found_and_the_enumerators_markers_are_not_offsets(tmp_path: Path) -> None:
    folder = savepoint(
        tmp_path, split("shop.a", 0, -3), split("shop.a", 1, -3), split("shop.a", 1, 7), split("shop.a", 0, 0)
    )
    assert source_offsets(folder, ["shop.a"], 2) == {TopicPartition("shop.a", 0): 0, TopicPartition("shop.a", 1): 7}


def test_a_partition_of_which_nothing_was_read_is_left_out(tmp_path: Path) -> None:
    assert source_offsets(savepoint(tmp_path, split("shop.a", 0, -3)), ["shop.a"], 1) == {}


def test_a_partition_that_is_not_there_or_stands_at_two_places_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="2 partitions"):
        source_offsets(savepoint(tmp_path, split("shop.a", 0, 5)), ["shop.a"], 2)
    with pytest.raises(ClusterError, match="two"):
        source_offsets(savepoint(tmp_path, split("shop.a", 0, 5), split("shop.a", 0, 6)), ["shop.a"], 1)


def test_a_savepoint_gets_the_new_offsets_of_its_records(tmp_path: Path) -> None:
    folder = savepoint(
        tmp_path,
        split("shop.a", 0, 700),
        split("shop.a", 1, -3),
        split("shop.b", 0, 9),
        split("shop.a", 0, -3),
        split("shop.a", 0, 700),
    )
    before = (folder / "_metadata").read_bytes()
    move_offsets(folder, {TopicPartition("shop.a", 0): 2, TopicPartition("shop.b", 0): 2**40})
    assert source_offsets(folder, ["shop.a"], 2) == {TopicPartition("shop.a", 0): 2}
    assert source_offsets(folder, ["shop.b"], 1) == {TopicPartition("shop.b", 0): 2**40}
    after = (folder / "_metadata").read_bytes()
    assert after.count(split("shop.a", 0, 2)) == 2
    assert after.count(split("shop.a", 1, -3)) == after.count(split("shop.a", 0, -3)) == 1
    assert len(after) == len(before) and after.startswith(b"\x42noise") and after.endswith(b"shop.a noise")
