"""Reads lists from the output topic as any consumer would: the newest version of a user wins."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

from operators.contracts import RECOMMENDATIONS, RecommendationList
from operators.kafka_clients import broker_errors, new_consumer, partitions_of
from operators.settings import KafkaSettings

decode_list = msgspec.json.Decoder(RecommendationList).decode


def consumer_at_end(settings: KafkaSettings, topic: str = RECOMMENDATIONS) -> KafkaConsumer:
    """A consumer of all partitions of a topic of lists, placed at their ends."""
    consumer = new_consumer(settings, fetch_max_wait_ms=50)
    with broker_errors(settings):
        partitions = partitions_of(consumer, topic, settings)
        consumer.assign(partitions)
        consumer.seek_to_end(*partitions)
        for partition in partitions:
            consumer.position(partition)
    return consumer


def newest_list(settings: KafkaSettings, user_id: str) -> RecommendationList | None:
    """The user's newest list; None when there is none or it was erased. Reads the user's partition from its start."""
    with closing(new_consumer(settings)) as consumer, broker_errors(settings):
        key, count = user_id.encode(), len(partitions_of(consumer, RECOMMENDATIONS, settings))
        mine = TopicPartition(RECOMMENDATIONS, (murmur2(key) & 0x7FFFFFFF) % count)  # Kafka's default partitioner
        consumer.assign([mine])
        consumer.seek_to_beginning(mine)
        end, newest = consumer.end_offsets([mine])[mine], None
        while consumer.position(mine) < end:
            for record in _records(consumer):
                if record.key == key:
                    found = decode_list(record.value) if record.value else None
                    newest = found if found is None or newest is None or found.version >= newest.version else newest
        return newest


def follow(
    settings: KafkaSettings, user_id: str | None = None, seconds: float = float("inf")
) -> Iterator[RecommendationList]:
    """Lists as they come, of one user or of all."""
    deadline = time.monotonic() + seconds
    with closing(consumer_at_end(settings)) as consumer, broker_errors(settings):
        while time.monotonic() < deadline:
            for record in _records(consumer):
                if record.value and user_id in (None, record.key.decode()):
                    yield decode_list(record.value)


def _records(consumer: KafkaConsumer) -> Iterator[Any]:
    for records in consumer.poll(timeout_ms=200).values():
        yield from records
