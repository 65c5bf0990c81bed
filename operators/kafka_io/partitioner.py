"""Kafka's default partitioner, which Java's producers and kafka-python's share."""

from kafka.partitioner.default import murmur2


def partition_of(key: bytes, count: int) -> int:
    """Which of `count` partitions a key belongs to."""
    return int((murmur2(key) & 0x7FFFFFFF) % count)
