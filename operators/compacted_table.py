"""A compacted topic as a local rocksdict table: complete at open, followed for ever, quick after a restart.

Values and offsets go into one write batch, so a restart goes on exactly where the table's files stop. Used by the job
(catalogue) and by the storefront (lists, catalogue).
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from kafka import KafkaConsumer, TopicPartition
from rocksdict import BlockBasedOptions, Options, Rdict, WriteBatch, WriteOptions

from operators.broker_errors import is_final, said
from operators.errors import BrokerError
from operators.kafka_clients import connect

log = logging.getLogger(__name__)
KEY, OFFSET = b"k", b"o"  # first byte of a row: a record of the topic, or a partition's next offset
POLL_MS = 500
BREATH_SECONDS = 0.004  # between polls that brought records: one a record would take a third of a core at 500/s
RETRY_SECONDS = 1.0
REFUSED_SECONDS = 15.0  # where the broker refuses us, somebody must repair something first
BLOOM_BITS = 10  # a key, each record looks up what it replaces; without them in every level of files

OnChange = Callable[[str, bytes | None], None]
Accept = Callable[[bytes | None, bytes | None], bool]


class Consumer(Protocol):
    """The part of kafka-python's consumer that a table uses; a test brings its own."""

    def partitions_for_topic(self, topic: str) -> set[int] | None: ...
    def assign(self, partitions: list[TopicPartition]) -> None: ...
    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]: ...
    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    def position(self, partition: TopicPartition) -> int: ...
    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]: ...
    def close(self) -> None: ...


def kafka_consumer(options: dict[str, Any]) -> Consumer:
    """A consumer of `KafkaSettings.consumer_options`: without group, the table keeps its own offsets."""
    consumer: Consumer = connect(KafkaConsumer, options | {"auto_offset_reset": "earliest"})
    return consumer


class CompactedTable:
    """Follows one topic in a thread of its own. Reads are safe from any thread."""

    def __init__(
        self,
        topic: str,
        folder: Path,
        connect: Callable[[], Consumer],
        *,
        on_change: OnChange | None = None,
        accept: Accept | None = None,
    ) -> None:
        """`on_change(key, value)` is called for each row that is there at open and each change, value None for a
        tombstone. `accept(old, new)` may refuse a record, such as a list with an older version."""
        self.topic = topic
        self._connect = connect
        self._on_change = on_change
        self._accept = accept
        self._rows = _open_rows(folder)
        # the topic is the log: after a kill the table is as of an earlier moment, and its offsets with it
        self._no_log = WriteOptions()
        self._no_log.disable_wal = True  # type: ignore[method-assign, assignment]  # its stub says method, it is none
        self._ends: dict[TopicPartition, int] = {}
        self._caught_up = threading.Event()
        self._closing = threading.Event()
        self._reached_at = 0.0
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name=f"table-{topic}", daemon=True)

    def open(self, timeout_s: float) -> bool:
        """Reports the local copy, follows the topic, and waits until the table holds all that the topic held at
        the start. False when that took longer: the last local copy serves and the table goes on catching up."""
        if self._on_change:
            for key, value in self.items():
                self._on_change(key, value)
        self._thread.start()
        return self._caught_up.wait(timeout_s)

    def get(self, key: str) -> bytes | None:
        """The newest value of a key."""
        value: bytes | None = self._rows.get(KEY + key.encode())
        return value

    def items(self) -> Iterator[tuple[str, bytes]]:
        """All rows in key order."""
        rows: Any = self._rows.items(from_key=KEY)  # rocksdict types a row as anything; in raw mode it is bytes
        for key, value in rows:
            if not key.startswith(KEY):
                return
            yield key[1:].decode("utf-8", "replace"), value

    @property
    def complete(self) -> bool:
        """Whether the table has caught up since `open`."""
        return self._caught_up.is_set()

    @property
    def age_s(self) -> float:
        """Seconds since the broker last answered; infinite before the first time."""
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
            except Exception as error:  # broker away, disk full, a reader's own error: the thread goes on trying
                pause = REFUSED_SECONDS if is_final(error) else RETRY_SECONDS
                if said(error) != self._problem:
                    self._problem = said(error)
                    log.warning("%s: not followed for now, the local copy serves: %s", self.topic, self._problem)
            self._closing.wait(pause)

    def _follow(self) -> None:
        consumer = self._connect()
        try:
            self._seek(consumer)
            while not self._closing.is_set():
                polled = consumer.poll(timeout_ms=POLL_MS, max_records=5000)
                for partition, records in polled.items():
                    self._write(partition.partition, records)
                if polled and self._caught_up.is_set():
                    self._closing.wait(BREATH_SECONDS)
                self._reached_at, self._problem = time.monotonic(), ""
                # by position, not by the last record: a transaction ends with a marker that no reader gets
                if not self._caught_up.is_set() and all(consumer.position(p) >= end for p, end in self._ends.items()):
                    self._caught_up.set()
        finally:
            consumer.close()

    def _seek(self, consumer: Consumer) -> None:
        numbers = consumer.partitions_for_topic(self.topic)
        if not numbers:
            raise BrokerError(f"the topic {self.topic}", "no such topic", "liveshelf topics create", retriable=True)
        partitions = [TopicPartition(self.topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        self._ends = ends
        for partition in partitions:
            stored = int(self._rows.get(OFFSET + str(partition.partition).encode()) or 0)
            # beyond the end: the topic was made anew; before the beginning: it was cut
            consumer.seek(partition, stored if begins[partition] <= stored <= ends[partition] else begins[partition])

    def _write(self, partition: int, records: list[Any]) -> None:
        batch = WriteBatch(raw_mode=True)
        changed: dict[bytes, bytes | None] = {}
        for record in records:
            key = KEY + (record.key or b"")
            old = changed[key] if key in changed else self._rows.get(key)
            if self._accept is None or self._accept(old, record.value):
                changed[key] = record.value
        for key, value in changed.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(OFFSET + str(partition).encode(), str(records[-1].offset + 1).encode())
        self._rows.write(batch, self._no_log)
        if self._on_change:
            for key, value in changed.items():
                self._on_change(key[1:].decode("utf-8", "replace"), value)


def _open_rows(folder: Path) -> Rdict:
    """The rows. A copy that is damaged is removed: the topic has it all."""
    folder.mkdir(parents=True, exist_ok=True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    blocks = BlockBasedOptions()
    blocks.set_bloom_filter(BLOOM_BITS, block_based=False)
    options.set_block_based_table_factory(blocks)
    try:
        return Rdict(str(folder), options)
    except Exception as error:  # rocksdict raises a plain Exception with RocksDB's words
        if "Corruption" not in str(error):
            raise
        log.warning("%s is damaged and is made anew from the topic: %s", folder, error)
        shutil.rmtree(folder)
        return Rdict(str(folder), options)
