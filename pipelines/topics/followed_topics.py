"""The topics that a following trainer reads, from given offsets on to their present ends."""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from operators.kafka_io.kafka_clients import broker_errors, new_consumer, partitions_of, topic_id
from operators.kafka_io.read_to_end import Offsets, read_between
from operators.records.contracts import CATALOGUE, ERASURES, EVENTS, EXAMPLES
from operators.settings import Settings
from operators.time_units import DAY_MS

log = logging.getLogger(__name__)
FOLLOWED = (ERASURES, EVENTS, EXAMPLES)  # erasures first: what they erase must not be learned
AGEING = (EVENTS, EXAMPLES)
PORTION = 5000  # records
GROUP = "trainer"

Portion = tuple[list[Any], dict[str, dict[int, int]]]


class FollowedTopics:
    """One consumer. The caller keeps the offsets; the group's are committed for those who watch its lag.

    `lost`: records that retention removed before they were read, by topic.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises `BrokerError`."""
        self._settings = settings
        group = f"{settings.job.name}-{GROUP}"
        self._consumer = new_consumer(settings.kafka, group_id=group, auto_offset_reset="earliest")
        self._offered: dict[int, int] = {}
        self._catalogue_id: str | None = None
        self.lost = Counter[str]()

    def ids(self) -> dict[str, str]:
        """Topic -> the id that the broker gave it when it was created; without those of which the broker knows none (before
        Kafka 2.8). Raises `BrokerError`."""
        with broker_errors(self._settings.kafka):
            self._consumer.topics()  # asks the broker; else ids would be minutes old
        known = {topic: topic_id(self._consumer, topic) for topic in (*FOLLOWED, CATALOGUE)}
        return {topic: found for topic, found in known.items() if found is not None}

    def read(self, offsets: Mapping[str, Mapping[int, int]]) -> Iterator[Portion]:
        """Portions of records, each with the next offsets of its partitions: topic -> partition -> offset.

        A partition without an offset is read from `events.max_age_days` ago, erasures from their beginning. Raises
        `BrokerError`.
        """
        for topic in FOLLOWED:
            with broker_errors(self._settings.kafka):
                starts, ends = self._range(topic, offsets.get(topic, {}))
                yield from self._portions(topic, starts, ends)
                self._commit(ends)

    def changed_offers(self) -> Iterator[Any]:
        """The records of the catalogue since the last call; the first call gives all, and so does the first one after the
        topic was created anew. Raises `BrokerError`."""
        catalogue_id = self.ids().get(CATALOGUE)
        if catalogue_id not in (None, self._catalogue_id):
            self._offered, self._catalogue_id = {}, catalogue_id
        with broker_errors(self._settings.kafka):
            starts, ends = self._range(CATALOGUE, self._offered)
            yield from read_between(self._consumer, starts, ends)
            self._offered = {partition.partition: end for partition, end in ends.items()}

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()

    def __enter__(self) -> "FollowedTopics":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _range(self, topic: str, known: Mapping[int, int]) -> tuple[Offsets, Offsets]:
        partitions = partitions_of(self._consumer, topic, self._settings.kafka)
        self._consumer.assign(partitions)
        begins, ends = self._consumer.beginning_offsets(partitions), self._consumer.end_offsets(partitions)
        first = self._first(topic, begins, ends)
        starts = {}
        for partition in partitions:
            offset = known.get(partition.partition, first[partition])
            if offset > ends[partition]:
                log.warning("%s-%s ends before offset %s: it was created anew", topic, partition.partition, offset)
                offset = begins[partition]
            if topic in AGEING and offset < begins[partition]:
                self.lost[topic] += begins[partition] - offset
            starts[partition] = max(offset, begins[partition])
        return starts, ends

    def _first(self, topic: str, begins: Offsets, ends: Offsets) -> Offsets:
        if topic not in AGEING:
            return begins
        since_ms = int(time.time() * 1000) - self._settings.events.max_age_days * DAY_MS
        at_time = self._consumer.offsets_for_times(dict.fromkeys(begins, since_ms))
        return {
            partition: at_time[partition].offset if at_time.get(partition) else end for partition, end in ends.items()
        }

    def _portions(self, topic: str, starts: Offsets, ends: Offsets) -> Iterator[Portion]:
        records, reached = list[Any](), defaultdict[str, dict[int, int]](dict)
        for record in read_between(self._consumer, starts, ends):
            records.append(record)
            reached[topic][record.partition] = record.offset + 1
            if len(records) == PORTION:
                yield records, dict(reached)
                records, reached = [], defaultdict(dict)
        # the markers of transactions and compacted records have offsets too
        yield records, {topic: {partition.partition: end for partition, end in ends.items()}}

    def _commit(self, ends: Offsets) -> None:
        try:
            self._consumer.commit({partition: OffsetAndMetadata(end, "", -1) for partition, end in ends.items()})
        except KafkaError as error:  # nothing depends on it
            log.warning("the group's offsets were not committed: %s", error)
