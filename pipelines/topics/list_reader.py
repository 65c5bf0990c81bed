"""Reads the newest list of users from the output topic."""

import contextlib
from collections.abc import Iterable
from contextlib import closing

from kafka import TopicPartition

from operators.kafka_io.kafka_clients import broker_errors, new_consumer, partitions_of
from operators.kafka_io.list_rows import ListRows
from operators.kafka_io.partitioner import partition_of
from operators.kafka_io.read_to_end import read_between
from operators.kafka_io.row_rules import Refused
from operators.records.contracts import RECOMMENDATIONS, RecommendationList
from operators.settings import KafkaSettings


def newest_list(settings: KafkaSettings, user_id: str) -> RecommendationList | None:
    """The user's newest list, as `newest_lists`."""
    return newest_lists(settings, (user_id,))[user_id]


def newest_lists(settings: KafkaSettings, user_ids: Iterable[str]) -> dict[str, RecommendationList | None]:
    """The newest list of each user, expired or not; None for a user without a list, or erased.

    Reads these users' partitions from the beginning. Raises `BrokerError`.
    """
    rule, rows = ListRows(forget_ms=None), dict[bytes, bytes | None].fromkeys(user.encode() for user in user_ids)
    with closing(new_consumer(settings, auto_offset_reset="earliest")) as consumer, broker_errors(settings):
        count = len(partitions_of(consumer, RECOMMENDATIONS, settings))
        partitions = [TopicPartition(RECOMMENDATIONS, number) for number in {partition_of(key, count) for key in rows}]
        consumer.assign(partitions)
        for record in read_between(consumer, consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)):
            if record.key in rows:
                with contextlib.suppress(Refused):
                    rows[record.key], _ = rule.take(rows[record.key], record, record.timestamp)
    return {key.decode(): None if row is None else rule.read(row) for key, row in rows.items()}
