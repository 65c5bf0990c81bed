"""A compacted topic as a local table: complete at open, followed for ever, quick after a restart.

Used by the job (catalogue) and by the storefront (lists, catalogue). The table reads the topic again from its beginning,
and drops the rows that do not come again, in three cases: a tombstone may have been compacted away while the table did not
follow, retention removed unread records, or the topic was deleted and created again.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from operators.errors import BrokerError
from operators.kafka_io.broker_errors import REFUSED_SECONDS, RETRY_SECONDS, error_text, is_final
from operators.kafka_io.read_to_end import records_left
from operators.kafka_io.row_rules import Refused, RowRule
from operators.kafka_io.table_consumer import Consumer
from operators.kafka_io.table_origin import TopicFacts, reason_to_reread
from operators.kafka_io.table_rows import WRITE_BUFFER_MB, TableRows

log = logging.getLogger(__name__)
POLL_MS = 500
# between polls that returned records: a poll costs table and broker as much as tens of records, and one for each record
# would take a third of a core at 500/s. Above 2,000 records/s the pause grows to the longest
SHORTEST_PAUSE_S, LONGEST_PAUSE_S, PAUSE_S_PER_RECORD = 0.004, 0.02, 0.0005
BACKLOG = 1000  # records of a poll after which the next ones are there already
CHECK_SECONDS = 5.0  # how often the table asks the broker for the end offsets
CHECK_TIMEOUT_MS = 2000
SWEEP_SECONDS = 10.0  # how often the table looks for stale rows
SWEEP_ROWS = 1000
SILENCE_MS = 60_000  # a running table ignores a shorter silence of the broker
LOGGED = 100  # records logged for each reason; further ones are only counted
BUGS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
OWN_ERROR, LISTENER_FAILED = "own_error", "not_told"

T = TypeVar("T")
OnChange = Callable[[str, T | None], None]


class CompactedTable(Generic[T]):
    """Follows one topic in a thread of its own. Reads are safe from any thread."""

    def __init__(
        self,
        topic: str,
        folder: Path,
        connect: Callable[[], Consumer],
        rule: RowRule[T],
        *,
        on_change: OnChange[T] | None = None,
        reports_copy: bool = True,
        refused: Counter[str] | None = None,
        write_buffer_mb: int = WRITE_BUFFER_MB,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """`on_change(key, value)` is called for each change, value None for a tombstone, and with `reports_copy` for each
        row that is there at open. `refused` counts the records that the rule refuses, by reason, or fails on (`own_error`),
        and `not_told`: changes for which `on_change` raised."""
        self.topic = topic
        self.refused: Counter[str] = Counter() if refused is None else refused
        self._connect, self._rule, self._clock_ms = connect, rule, clock_ms
        self._listeners = [] if on_change is None else [on_change]
        self._reports_copy = reports_copy
        self._notifying = threading.Lock()
        self._rows = TableRows(folder, rule.head, write_buffer_mb)
        self._facts = TopicFacts(None, None)
        self._target: tuple[int, dict[TopicPartition, int]] | None = None  # complete as of (ms) when these are reached
        self._cursor: bytes | None = None  # of the sweep that ends a rereading
        self._stale_cursor, self._swept_at, self._next_check_at, self._checked_ms = b"", 0.0, 0.0, 0
        self._caught_up, self._closing = threading.Event(), threading.Event()
        self._reached_at = 0.0
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name=f"table-{topic}", daemon=True)

    def open(self, timeout_s: float) -> bool:
        """Reports the local copy, follows the topic, and waits until the table holds all that the topic held at
        the start. False when that took longer: the last local copy serves and the table goes on catching up."""
        if self._reports_copy:
            for listener in self._listeners:
                self._report_rows(listener)
        self._thread.start()
        return self._caught_up.wait(timeout_s)

    def listen(self, on_change: OnChange[T]) -> None:
        """Reports each row to one more listener, if the table is open, and each change from now on. From any thread."""
        with self._notifying:
            if self._thread.is_alive():
                self._report_rows(on_change)
            self._listeners.append(on_change)

    def leave(self, on_change: OnChange[T]) -> None:
        """Reports nothing more to a listener."""
        with self._notifying:
            self._listeners.remove(on_change)

    def get(self, key: str) -> T | None:
        """The newest value of a key."""
        row = self.row(key)
        return None if row is None else self._rule.read(row)

    def row(self, key: str) -> bytes | None:
        """The row of a key as it is kept."""
        return self._rows.get(key.encode())

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """All rows in key order."""
        return ((key.decode("utf-8", "replace"), row) for key, row in self._rows.items())

    @property
    def complete(self) -> bool:
        """Whether the table has caught up since `open`."""
        return self._caught_up.is_set()

    @property
    def age_s(self) -> float:
        """Seconds since what the broker sent was last taken, or it had nothing new; infinite before the first time. So it
        grows while the broker is away, and while its records cannot be written or read."""
        return time.monotonic() - self._reached_at if self._reached_at else float("inf")

    def close(self) -> None:
        """Stops the thread and gives back the folder's lock."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self._rows.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            pause = RETRY_SECONDS
            try:
                self._follow()
            except Exception as error:  # broker away, disk full, a listener's own error: the thread retries
                pause = REFUSED_SECONDS if is_final(error) else RETRY_SECONDS
                if error_text(error) != self._problem:
                    self._problem = error_text(error)
                    log.warning("%s: not followed for now, the local copy serves: %s", self.topic, self._problem)
            self._closing.wait(pause)

    def _follow(self) -> None:
        consumer = self._connect()
        try:
            partitions = self._assign(consumer)
            while not self._closing.is_set():
                polled = consumer.poll(timeout_ms=0 if self._cursor is not None else POLL_MS, max_records=5000)
                for partition, records in polled.items():
                    self._write(partition.partition, records)
                if polled:
                    self._reached_at, self._problem = time.monotonic(), ""
                    if self._caught_up.is_set():
                        self._closing.wait(pause_after(sum(map(len, polled.values()))))
                self._check_topic(consumer, partitions)
                self._advance(consumer)
        finally:
            consumer.close()

    def _assign(self, consumer: Consumer) -> list[TopicPartition]:
        """Seeks to the offsets of the copy, or to the beginning if the copy cannot be continued."""
        numbers = consumer.partitions_for_topic(self.topic)
        if not numbers:
            raise BrokerError(f"the topic {self.topic}", "no such topic", "liveshelf topics create", retriable=True)
        partitions = [TopicPartition(self.topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        now_ms = self._clock_ms()
        self._facts = TopicFacts(consumer.topic_id(self.topic), consumer.tombstones_ms(self.topic))
        begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        offsets, origin = self._rows.offsets(), self._rows.origin
        why = origin and reason_to_reread(origin, self._facts, offsets, _by_number(begins), _by_number(ends), now_ms)
        if origin is None or why:
            if why:
                log.warning("%s is read again from its beginning: %s", self.topic, why)
            self._rows.begin(self._facts.id, now_ms)
            offsets = {}
        for partition in partitions:
            consumer.seek(partition, offsets.get(partition.partition, begins[partition]))
        self._target, self._cursor, self._checked_ms = (now_ms, ends), None, now_ms
        self._next_check_at = time.monotonic() + CHECK_SECONDS
        return partitions

    def _check_topic(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Asks the broker from time to time for the end offsets, and whether the topic is still the same."""
        started = time.monotonic()
        if started < self._next_check_at:
            return
        if consumer.partitions_for_topic(self.topic) != {partition.partition for partition in partitions}:
            raise BrokerError(f"the partitions of {self.topic}", "others", "they are read", retriable=True)
        if (topic_id := consumer.topic_id(self.topic)) != self._facts.id:
            raise BrokerError(f"the topic {self.topic}", f"another one, {topic_id}", "it is read", retriable=True)
        now_ms = self._clock_ms()
        try:
            ends = consumer.end_offsets(partitions, timeout_ms=CHECK_TIMEOUT_MS)
        except KafkaTimeoutError:  # a partition without a leader must not keep the others' records away
            self._next_check_at = time.monotonic() + 10 * (time.monotonic() - started)
            return
        silence_ms, self._checked_ms = now_ms - self._checked_ms, now_ms
        if silence_ms > max(SILENCE_MS, self._facts.age_limit_ms):
            raise BrokerError(
                f"an answer for {self.topic}", f"none for {silence_ms} ms", "it is read again", retriable=True
            )
        self._next_check_at, self._reached_at = started + CHECK_SECONDS, time.monotonic()
        if self._target is None:
            self._target = now_ms, ends

    def _advance(self, consumer: Consumer) -> None:
        """Notes that the end offsets were reached, and sweeps some rows when due."""
        if self._target is not None and records_left(consumer, self._target[1]) == 0:
            origin, (at_ms, _), self._target = self._rows.origin, self._target, None
            self._reached_at = time.monotonic()
            if origin is not None and origin.rereading:
                self._cursor = b"" if self._cursor is None else self._cursor
            else:
                self._rows.complete(at_ms)
                self._caught_up.set()
        if self._cursor is not None:
            removed, self._cursor = self._rows.sweep(self._cursor, SWEEP_ROWS)
            self._notify_all(dict.fromkeys(removed, self._rule.gone))
            if self._cursor is None:
                self._rows.end_reading()
                self._caught_up.set()
        elif self._rule.sweeps and self._caught_up.is_set() and time.monotonic() >= self._swept_at + SWEEP_SECONDS:
            self._sweep_stale()

    def _sweep_stale(self) -> None:
        now_ms, tombstones_ms = self._clock_ms(), self._facts.floor_ms
        removed, following = self._rows.sweep(
            self._stale_cursor, SWEEP_ROWS, lambda row: self._rule.stale(row, now_ms, tombstones_ms)
        )
        self._stale_cursor, self._swept_at = following or b"", time.monotonic()
        self._notify_all(dict.fromkeys(removed))

    def _write(self, partition: int, records: list[Any]) -> None:
        changes: dict[bytes, bytes | None] = {}
        values: dict[bytes, T | None] = {}
        take, replaced, now_ms = self._rule.take, self._rows.replaced, self._clock_ms()
        for record in records:
            key = record.key or b""
            old = changes[key] if key in changes else replaced(key)
            try:
                changes[key], values[key] = take(old, record, now_ms)
            except Refused as refused:
                self._refuse(refused.reason, partition, record)
            except BUGS:  # in the rule: a retry would fail again, and the table would read no later record
                self._refuse(OWN_ERROR, partition, record)
                log.exception("%s: an error of Liveshelf's own with a record", self.topic)
        self._rows.write(changes, partition, records[-1].offset + 1)
        self._notify_all(values)

    def _refuse(self, reason: str, partition: int, record: Any) -> None:
        self.refused[reason] += 1
        # after a failure thousands of records are `older`, as expected; of a bad feed the first ones are enough
        if reason != "older" and self.refused[reason] <= LOGGED:
            log.warning(
                "%s: a record is refused: %s (partition %s, offset %s)", self.topic, reason, partition, record.offset
            )

    def _report_rows(self, listener: OnChange[T]) -> None:
        for key, row in self._rows.items():
            if (value := self._rule.read(row)) is not None:
                self._notify(listener, key, value)

    def _notify_all(self, changes: Mapping[bytes, T | None]) -> None:
        with self._notifying:
            for listener in self._listeners:
                for key, value in changes.items():
                    self._notify(listener, key, value)

    def _notify(self, listener: OnChange[T], key: bytes, value: T | None) -> None:
        """Calls a listener. An error for one key does not affect the other keys."""
        try:
            listener(key.decode("utf-8", "replace"), value)
        except Exception:
            self.refused[LISTENER_FAILED] += 1
            log.exception("%s: a change was not taken", self.topic)


def pause_after(records: int) -> float:
    """Seconds until the next poll after one that returned `records`. After up to eight records it is the shortest."""
    wanted_s = min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, PAUSE_S_PER_RECORD * records))
    return 0.0 if records >= BACKLOG else wanted_s


def _by_number(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {partition.partition: offset for partition, offset in offsets.items()}
