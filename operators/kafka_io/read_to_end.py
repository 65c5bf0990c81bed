"""Reads topics up to their current end offsets, record by record, without holding them in memory."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from operators.configuration.kafka_settings import KafkaSettings
from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import broker_errors, new_consumer, partitions_of

Offsets = dict[TopicPartition, int]
STALL_SECONDS = 60.0  # long enough for a broker to restart; after that a `BrokerError`, never an early end


def read_topic(settings: KafkaSettings, topic: str, since_ms: int | None = None) -> Iterator[Any]:
    """The records of a `TopicRange`; closes it at the end. Raises `BrokerError`."""
    with closing(TopicRange(settings, topic, since_ms)) as records:
        yield from records


class TopicRange:
    """`starts` and `ends`: partition -> offset; iteration reads the records between them, each partition in order."""

    def __init__(
        self, settings: KafkaSettings, topic: str, since_ms: int | None = None, after: Mapping[int, int] | None = None
    ) -> None:
        """`since_ms`: epoch ms, None: all that the topic holds. `after`: partition -> the first offset that must still exist.

        Raises `BrokerError` where there is no such topic, where the broker does not answer, and where retention has
        removed records from `after` on.
        """
        self._settings = settings
        self._consumer = new_consumer(settings, auto_offset_reset="earliest")
        self._after = {TopicPartition(topic, number): offset for number, offset in (after or {}).items()}
        try:
            with broker_errors(settings):
                self._look_up(topic, since_ms)
        except BaseException:
            self.close()
            raise

    def _look_up(self, topic: str, since_ms: int | None) -> None:
        partitions = partitions_of(self._consumer, topic, self._settings)
        self._consumer.assign(partitions)
        self._ends = self._consumer.end_offsets(partitions)
        self._starts = self._consumer.beginning_offsets(partitions)
        if since_ms is not None:
            at_time = self._consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
            self._starts = {p: at_time[p].offset if at_time.get(p) else self._ends[p] for p in partitions}
        self._starts |= {p: max(self._starts[p], offset) for p, offset in self._after.items()}
        self.starts = {p.partition: offset for p, offset in self._starts.items()}
        self.ends = {p.partition: offset for p, offset in self._ends.items()}
        self._refuse_lost()

    def __iter__(self) -> Iterator[Any]:
        with broker_errors(self._settings):
            yield from read_between(self._consumer, self._starts, self._ends)
            self._refuse_lost()  # retention may remove records during a long read

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()

    def _refuse_lost(self) -> None:
        begins = self._consumer.beginning_offsets(list(self._after)) if self._after else {}
        for partition, offset in self._after.items():
            if begins[partition] > offset:
                self.close()
                raise BrokerError(
                    f"the records of {partition.topic}-{partition.partition} from offset {offset} on",
                    f"a topic that begins at {begins[partition]}: retention has removed records unread",
                    "liveshelf status: let the job catch up, then try again",
                )


def read_between(
    consumer: KafkaConsumer, starts: Offsets, ends: Offsets, stop: Callable[[], bool] = lambda: False
) -> Iterator[Any]:
    """The records from `starts` to before `ends`, each partition in order, of a consumer to which these are assigned.

    Ends early once `stop` says so. The consumer may have read past `ends` then: seek before you go on with it. Raises
    `BrokerError` if no record arrives for a minute, because the end was not reached then.
    """
    for partition, offset in starts.items():
        consumer.seek(partition, offset)
    reached, since = dict(starts), time.monotonic()
    while (missing := [partition for partition, end in ends.items() if reached[partition] < end]) and not stop():
        for partition, records in consumer.poll(timeout_ms=500).items():
            yield from (record for record in records if record.offset < ends[partition])
        now = {partition: consumer.position(partition) for partition in ends}
        if now != reached:
            reached, since = now, time.monotonic()
        elif time.monotonic() > since + STALL_SECONDS:
            stalled = missing[0]
            raise BrokerError(
                f"{stalled.topic}-{stalled.partition} up to offset {ends[stalled]}",
                f"nothing after {reached[stalled]} for {STALL_SECONDS:.0f} s",
                "look at the broker, then try again",
                retriable=True,
            )


def records_left(consumer: Any, ends: Mapping[TopicPartition, int]) -> int:
    """How many offsets lie between a consumer's positions and `ends`.

    By position, not by the last record: a transaction ends with a marker that no reader gets.
    """
    return sum(max(0, end - int(consumer.position(partition))) for partition, end in ends.items())
