"""A topic from a time to its present end, record by record: without holding it in memory."""

from collections.abc import Iterator
from typing import Any

from operators.kafka_clients import broker_errors, new_consumer, partitions_of
from operators.settings import KafkaSettings


class Stretch:
    """`starts` and `ends`: partition -> offset; iterating reads what lies between, each partition in order."""

    def __init__(self, settings: KafkaSettings, topic: str, since_ms: int | None) -> None:
        """`since_ms`: epoch ms, None: all that the topic holds. Raises `BrokerError` where there is no such topic."""
        self._settings = settings
        self._consumer = new_consumer(settings)
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
        self.starts = {p.partition: offset for p, offset in self._starts.items()}
        self.ends = {p.partition: offset for p, offset in self._ends.items()}

    def __iter__(self) -> Iterator[Any]:
        with broker_errors(self._settings):
            for partition, offset in self._starts.items():
                self._consumer.seek(partition, offset)
            while any(self._consumer.position(partition) < end for partition, end in self._ends.items()):
                for partition, records in self._consumer.poll(timeout_ms=500).items():
                    yield from (record for record in records if record.offset < self._ends[partition])

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()


def stretch(settings: KafkaSettings, topic: str, since_ms: int | None) -> Iterator[Any]:
    """The records of a `Stretch`, closed at its end."""
    found = Stretch(settings, topic, since_ms)
    try:
        yield from found
    finally:
        found.close()
