"""Lists as they come on the topic of recommendations, and erasures: for programs that push them on."""

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
LOOK_SECONDS = 5.0  # a silent broker is asked so often where the topic ends
LOOK_MS = 2000
UNREADABLE = ("not_a_list", "not_its_key")

Since = Literal["now", "beginning"]


class Erased(NamedTuple):
    """The user has no list any more: what is shown of an earlier one must go."""

    user_id: str


class ListFollower(Iterator[RecommendationList | Erased]):
    """Iterates over lists as they come, and over erasures; of a user none that is older than what came before.

    It reads from the moment at which it is made. One thread iterates; any thread may close it, which ends the iteration.
    It remembers 25 bytes a user whose list came, beside the user_id.
    """

    def __init__(
        self, settings: KafkaSettings, users: Collection[str] | None, since: Since, silence_s: float = 60.0
    ) -> None:
        """`users`: None for all; else only their partitions are read. `silence_s`: how long the broker may be away.

        Raises `BrokerError` where the broker does not answer now, or the topic is missing.
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
                self._partitions = self._assigned(since)
        except BaseException:
            self.close()
            raise
        self._looked_at, self._away_since = time.monotonic(), math.inf

    def __next__(self) -> RecommendationList | Erased:
        """The next list or erasure; waits for it. Ends when the follower is closed.

        Raises `BrokerError` where the broker refuses, or has been away for `silence_s`; a later call goes on from the
        same place.
        """
        while True:
            with self._polling:
                if self._closed.is_set():
                    raise StopIteration
                if self._ready:
                    return self._ready.popleft()
                self._poll()

    def close(self) -> None:
        """Ends the iteration, wherever it waits."""
        self._closed.set()
        with self._polling:
            self._disconnect()

    def __enter__(self) -> "ListFollower":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _assigned(self, since: Since) -> list[TopicPartition]:
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
            self._consumer.position(partition)  # looked up now: what is published from here on comes
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
        """Waits a little, or raises `BrokerError` where that does not help or was done for `silence_s`."""
        now = time.monotonic()
        self._away_since = min(self._away_since, now)
        if is_final(error) or now > self._away_since + self._silence_s:
            self._away_since = math.inf  # a later call waits as long again
            raise broker_error(error, self._settings.client_options()) from error
        self._closed.wait(POLL_MS / 1000)

    def _broker_answers(self) -> bool:
        """Asks a broker from which nothing came; a consumer that polls says nothing of one that is away."""
        if time.monotonic() < self._looked_at + LOOK_SECONDS:
            return False
        self._looked_at = time.monotonic()
        self._consumer.end_offsets(self._partitions, timeout_ms=LOOK_MS)
        return True

    def _take(self, record: Any) -> None:
        now_ms = time.time_ns() // 1_000_000
        key = record.key or b""
        try:
            row, made = self._rule.take(self._rows.get(key), record, now_ms)
        except Refused as refused:
            if refused.reason in UNREADABLE:
                log.warning("%s-%s, offset %s: %s", record.topic, record.partition, record.offset, refused.reason)
            return
        if row is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = self._rule.order_alone(row)
        if record.value is None:
            self._ready.append(Erased(key.decode("utf-8", "replace")))
        elif made is not None and now_ms < made.expires_at:
            self._ready.append(made)
