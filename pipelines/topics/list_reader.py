"""Reads lists from the output topic as any consumer would: the newest list of a user wins."""

import contextlib
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

from operators.kafka_io.kafka_clients import broker_errors, new_consumer, partitions_of
from operators.kafka_io.list_rows import ListRows, decode_list
from operators.kafka_io.row_rules import Refused
from operators.records.contracts import RECOMMENDATIONS, RecommendationList
from operators.settings import KafkaSettings

log = logging.getLogger(__name__)


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
    """The user's newest list, expired or not; None when there is none or it was erased.

    Reads the user's partition from its start.
    """
    with closing(new_consumer(settings)) as consumer, broker_errors(settings):
        key, count = user_id.encode(), len(partitions_of(consumer, RECOMMENDATIONS, settings))
        mine = TopicPartition(RECOMMENDATIONS, (murmur2(key) & 0x7FFFFFFF) % count)  # Kafka's default partitioner
        consumer.assign([mine])
        consumer.seek_to_beginning(mine)
        end, rule, row = consumer.end_offsets([mine])[mine], ListRows(forget_ms=None), None
        while consumer.position(mine) < end:
            for record in _records(consumer):
                if record.key == key:
                    with contextlib.suppress(Refused):
                        row, _ = rule.take(row, record, record.timestamp)
        return None if row is None else rule.read(row)


def follow(
    settings: KafkaSettings, user_id: str | None = None, seconds: float = float("inf")
) -> Iterator[RecommendationList]:
    """Lists as they come, of one user or of all."""
    wanted = None if user_id is None else user_id.encode()
    deadline = time.monotonic() + seconds
    with closing(consumer_at_end(settings)) as consumer, broker_errors(settings):
        while time.monotonic() < deadline:
            for record in _records(consumer):
                if record.value and wanted in (None, record.key):
                    try:
                        yield decode_list(record.value, record.key)
                    except Refused as refused:
                        log.warning("a record of %s is %s: offset %s", record.topic, refused.reason, record.offset)


def _records(consumer: KafkaConsumer) -> Iterator[Any]:
    for records in consumer.poll(timeout_ms=200).values():
        yield from records
