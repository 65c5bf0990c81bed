"""A topic from a time or from offsets to its present end, record by record: without holding it in memory."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import broker_errors, new_consumer, partitions_of
from operators.settings import KafkaSettings

Place = dict[TopicPartition, int]
STALL_SECONDS = 60.0  # a broker that restarts is waited for; one that is gone is an error and no end


class Stretch:
    """`starts` and `ends`: partition -> offset; iterating reads what lies between, each partition in order."""

    def __init__(
        self, settings: KafkaSettings, topic: str, since_ms: int | None = None, after: Mapping[int, int] | None = None
    ) -> None:
        """`since_ms`: epoch ms, None: all that the topic holds. `after`: partition -> the first offset that must be there.

        Raises `BrokerError` where there is no such topic, where the broker does not answer, and where retention has
        removed records from `after` on.
        """
        self._settings = settings
        self._consumer = new_consumer(settings, auto_offset_reset="earliest")
        self._after = {TopicPartition(topic, number): offset for number, offset in (after or {}).items()}
        try:
            with broker_errors(settings):
                self._find(topic, since_ms)
        except BaseException:
            self._consumer.close()
            raise

    def _find(self, topic: str, since_ms: int | None) -> None:
        partitions = partitions_of(self._consumer, topic, self._settings)
        self._consumer.assign(partitions)
        self._ends = self._consumer.end_offsets(partitions)
        self._starts = self._consumer.beginning_offsets(partitions)
        if since_ms is not None:
            found = self._consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
            self._starts = {p: found[p].offset if found.get(p) else self._ends[p] for p in partitions}
        self._starts |= {p: max(self._starts[p], offset) for p, offset in self._after.items()}
        self.starts = {p.partition: offset for p, offset in self._starts.items()}
        self.ends = {p.partition: offset for p, offset in self._ends.items()}
        self._refuse_lost()

    def __iter__(self) -> Iterator[Any]:
        with broker_errors(self._settings):
            yield from records_between(self._consumer, self._starts, self._ends)
            self._refuse_lost()  # retention goes on while a long topic is read

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()

    def _refuse_lost(self) -> None:
        begins = self._consumer.beginning_offsets(list(self._after)) if self._after else {}
        for place, offset in self._after.items():
            if begins[place] > offset:
                self.close()
                raise BrokerError(
                    f"the records of {place.topic}-{place.partition} from offset {offset} on",
                    f"a topic that begins at {begins[place]}: retention has removed records unread",
                    "liveshelf status: let the job catch up, then try again",
                )


def records_between(consumer: KafkaConsumer, starts: Place, ends: Place) -> Iterator[Any]:
    """What lies from `starts` to before `ends`, each partition in order, as a consumer to which they are assigned reads it.

    Raises `BrokerError` where nothing comes for a minute: an end that was not read is not known.
    """
    for partition, offset in starts.items():
        consumer.seek(partition, offset)
    reached, since = dict(starts), time.monotonic()
    while missing := [place for place, end in ends.items() if reached[place] < end]:
        for place, records in consumer.poll(timeout_ms=500).items():
            yield from (record for record in records if record.offset < ends[place])
        now = {place: consumer.position(place) for place in ends}
        if now != reached:
            reached, since = now, time.monotonic()
        elif time.monotonic() > since + STALL_SECONDS:
            place = missing[0]
            raise BrokerError(
                f"{place.topic}-{place.partition} up to offset {ends[place]}",
                f"nothing after {reached[place]} for {STALL_SECONDS:.0f} s",
                "look at the broker, then try again",
                retriable=True,
            )


def stretch(settings: KafkaSettings, topic: str, since_ms: int | None) -> Iterator[Any]:
    """The records of a `Stretch`, closed at its end."""
    found = Stretch(settings, topic, since_ms)
    try:
        yield from found
    finally:
        found.close()
