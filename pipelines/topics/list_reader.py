"""Reads lists from the output topic as any consumer would: the newest list of a user wins."""

import contextlib
import itertools
import logging
import time
from collections.abc import Iterator
from contextlib import closing

from kafka import TopicPartition

from operators.kafka_io.kafka_clients import broker_errors, consumer_at_end, new_consumer, partitions_of
from operators.kafka_io.list_rows import ListRows, decode_list
from operators.kafka_io.partitioner import partition_of
from operators.kafka_io.read_to_end import read_between
from operators.kafka_io.row_rules import Refused
from operators.records.contracts import RECOMMENDATIONS, RecommendationList
from operators.settings import KafkaSettings

log = logging.getLogger(__name__)


def newest_list(settings: KafkaSettings, user_id: str) -> RecommendationList | None:
    """The user's newest list, expired or not; None when there is none or it was erased.

    Reads the user's partition from its start. Raises `BrokerError`.
    """
    key, rule, row = user_id.encode(), ListRows(forget_ms=None), None
    with closing(new_consumer(settings, auto_offset_reset="earliest")) as consumer, broker_errors(settings):
        count = len(partitions_of(consumer, RECOMMENDATIONS, settings))
        mine = [TopicPartition(RECOMMENDATIONS, partition_of(key, count))]
        consumer.assign(mine)
        for record in read_between(consumer, consumer.beginning_offsets(mine), consumer.end_offsets(mine)):
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
    with closing(consumer_at_end(settings, RECOMMENDATIONS)) as consumer, broker_errors(settings):
        while time.monotonic() < deadline:
            for record in itertools.chain.from_iterable(consumer.poll(timeout_ms=200).values()):
                if record.value and wanted in (None, record.key):
                    try:
                        yield decode_list(record.value, record.key)
                    except Refused as refused:
                        log.warning("a record of %s is %s: offset %s", record.topic, refused.reason, record.offset)
