"""Follows the topic of recommendations: new lists and erasures, for programs that forward them."""

import logging
import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Collection, Iterator
from typing import Any, Literal, NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError

from operators.kafka_io.broker_errors import broker_error, is_final
from operators.kafka_io.kafka_clients import broker_errors, new_consumer, partitions_of
from operators.kafka_io.list_rows import ListRows
from operators.kafka_io.partitioner import partition_of
from operators.kafka_io.row_rules import Refused
from operators.records.contracts import RECOMMENDATIONS, RecommendationList
from operators.settings import KafkaSettings

log = logging.getLogger(__name__)
POLL_MS = 200
LOOK_SECONDS = 5.0  # between two probes of a silent broker
LOOK_MS = 2000
UNREADABLE = ("not_a_list", "not_its_key")

Since = Literal["now", "beginning"]


class Erased(NamedTuple):
    """The user has no list any more: remove what you still show of an earlier one."""

    user_id: str


class ListFollower(Iterator[RecommendationList | Erased]):
    """Iterates over new lists and erasures; of one user, never an older list after a newer one.

    Reading starts when the follower is created. One thread iterates; any thread may close it, which ends the iteration.
    Memory: the user_id and 25 bytes for each user seen.
    """

    def __init__(
        self, settings: KafkaSettings, users: Collection[str] | None, since: Since, silence_s: float = 60.0
    ) -> None:
        """`users`: None for all; else the follower reads only their partitions. `silence_s`: longest tolerated outage.

        Raises `BrokerError` if the broker does not answer or has no such topic.
        """
        self._settings, self._silence_s = settings, silence_s
        self._keys = None if users is None else frozenset(user.encode() for user in users)
        self._rule, self._rows = ListRows(forget_ms=None), dict[bytes, bytes]()
        self._ready = deque[RecommendationList | Erased]()
        self._closed, self._polling = threading.Event(), threading.Lock()
        self._consumer = new_consumer(settings, auto_offset_reset="earliest")
        self._disconnect = weakref.finalize(self, self._consumer.close)
        try:
            with broker_errors(settings):
                self._partitions = self._assign_partitions(since)
        except BaseException:
            self.close()
            raise
        self._probed_at, self._away_since = time.monotonic(), math.inf

    def __next__(self) -> RecommendationList | Erased:
        """Waits for the next list or erasure. `close` ends the iteration.

        Raises `BrokerError` when the broker refuses, or is away for `silence_s`; a later call continues at the same
        offsets.
        """
        while True:
            with self._polling:
                if self._closed.is_set():
                    raise StopIteration
                if self._ready:
                    return self._ready.popleft()
                self._poll()

    def close(self) -> None:
        """Ends the iteration, also while it waits."""
        self._closed.set()
        with self._polling:
            self._disconnect()

    def __enter__(self) -> "ListFollower":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _assign_partitions(self, since: Since) -> list[TopicPartition]:
        partitions = partitions_of(self._consumer, RECOMMENDATIONS, self._settings)
        if self._keys is not None:
            numbers = {partition_of(key, len(partitions)) for key in self._keys}
            partitions = [partition for partition in partitions if partition.partition in numbers]
        self._consumer.assign(partitions)
        if since == "now":
            self._consumer.seek_to_end(*partitions)
        else:
            self._consumer.seek_to_beginning(*partitions)
        for partition in partitions:
            self._consumer.position(partition)  # resolves the offset now, so no later record is missed
        return partitions

    def _poll(self) -> None:
        try:
            batches = self._consumer.poll(timeout_ms=POLL_MS)
            if batches or self._broker_answers():
                self._away_since = math.inf
        except KafkaError as error:
            self._wait_or_raise(error)
            return
        for records in batches.values():
            for record in records:
                if self._keys is None or record.key in self._keys:
                    self._take(record)

    def _wait_or_raise(self, error: KafkaError) -> None:
        """Waits for `POLL_MS`; raises `BrokerError` for a final error and after `silence_s` of outage."""
        now = time.monotonic()
        self._away_since = min(self._away_since, now)
        if is_final(error) or now > self._away_since + self._silence_s:
            self._away_since = math.inf  # a later call tolerates a full `silence_s` again
            raise broker_error(error, self._settings.client_options()) from error
        self._closed.wait(POLL_MS / 1000)

    def _broker_answers(self) -> bool:
        """Probes a silent broker: `poll` raises nothing when the broker is away."""
        if time.monotonic() < self._probed_at + LOOK_SECONDS:
            return False
        self._probed_at = time.monotonic()
        self._consumer.end_offsets(self._partitions, timeout_ms=LOOK_MS)
        return True

    def _take(self, record: Any) -> None:
        now_ms = time.time_ns() // 1_000_000
        key = record.key or b""
        try:
            row, recommended = self._rule.take(self._rows.get(key), record, now_ms)
        except Refused as refused:
            if refused.reason in UNREADABLE:
                log.warning("%s-%s, offset %s: %s", record.topic, record.partition, record.offset, refused.reason)
            return
        if row is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = self._rule.head(row)
        if record.value is None:
            self._ready.append(Erased(key.decode("utf-8", "replace")))
        elif recommended is not None and now_ms < recommended.expires_at:
            self._ready.append(recommended)
