"""Watches the output topic as a reader sees it, and the job through Flink's REST API, while faults happen."""

import itertools
import threading
import time
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from benchmarks.faults.oracle import Order
from operators.errors import LiveshelfError
from operators.kafka_io.kafka_clients import consumer_at_end
from operators.kafka_io.list_rows import decode_any_list
from operators.kafka_io.read_to_end import Offsets
from operators.records.contracts import ORDER_HEADER, RECOMMENDATIONS
from operators.refresh.refresh_records import DIGEST_HEADER
from operators.settings import Settings
from operators.waiting import wait_while
from pipelines.submission.cluster import Cluster
from pipelines.topics.topic_reader import TopicReader

END_S = 60.0  # maximum time to read to the end after the load
NOTHING: Order = (-1, -1)  # below every list


@dataclass
class NewestList:
    """The newest list of a user as a reader keeps it."""

    order: Order
    source: str
    digest: str | None
    items: list[tuple[str, float]]


@dataclass
class ReaderView:
    """The lists of one load's users (their ids begin with `tag`), as a reader of the topic keeps them.

    A reader keeps the list with the greatest (epoch, version). A tombstone removes the list, and lists up to the order
    in its header no longer count.
    """

    tag: bytes
    # arrays, because a soak has ten million lists; in the order of arrival
    arrivals: "array[float]" = field(default_factory=lambda: array("d"))  # monotonic s
    freshness: "array[float]" = field(default_factory=lambda: array("d"))  # s
    newest: dict[str, NewestList] = field(default_factory=dict)
    written_counts: Counter[tuple[str, Order, bool]] = field(default_factory=Counter)  # user, order, by the model
    greatest_orders: dict[str, Order] = field(default_factory=dict)  # user -> greatest order of all lists
    last_orders: dict[str, Order] = field(default_factory=dict)  # user -> order of the last list
    tombstoned: set[str] = field(default_factory=set)  # users whose last record is a tombstone
    floors: dict[str, Order] = field(default_factory=dict)  # user -> greatest order of a tombstone
    version_falls: int = 0
    misplaced: int = 0  # lists under another user's key

    def take(self, record: Any, now: float, now_ms: float) -> None:
        """Takes a record of the output topic."""
        if record.key is None or not record.key.startswith(self.tag):
            return
        user = record.key.decode()
        if record.value is None:
            self._take_tombstone(user, dict(record.headers).get(ORDER_HEADER))
            return
        slate = decode_any_list(record.value)
        order = (slate.epoch, slate.version)
        self.arrivals.append(now)
        self.freshness.append((now_ms - slate.event_time) / 1000)
        self.misplaced += slate.user_id != user
        self.written_counts[user, order, slate.source == "model"] += 1
        self.version_falls += order < self.last_orders.get(user, order)
        self.greatest_orders[user] = max(order, self.greatest_orders.get(user, order))
        self.last_orders[user] = order
        self.tombstoned.discard(user)
        if order <= self.floors.get(user, NOTHING):
            return
        current = self.newest.get(user)
        if current is None or order >= current.order:
            digest = dict(record.headers).get(DIGEST_HEADER)
            items = [(item.item_id, item.score) for item in slate.items]
            self.newest[user] = NewestList(order, slate.source, digest and digest.decode(), items)

    def order_of(self, user: str) -> Order:
        """The order of the user's newest list; `NOTHING` without a list."""
        newest = self.newest.get(user)
        return NOTHING if newest is None else newest.order

    def _take_tombstone(self, user: str, header: bytes | None) -> None:
        self.tombstoned.add(user)
        current = self.newest.get(user)
        if header is None:
            self.newest.pop(user, None)
            return
        epoch, version = header.decode().split(".")
        floor = self.floors[user] = max(self.floors.get(user, NOTHING), (int(epoch), int(version)))
        if current is not None and current.order <= floor:
            del self.newest[user]

    def percentile(self, share: float, start: float, end: float) -> float:
        """Freshness in s of the lists that arrived in [start, end); infinite without lists."""
        ages_s = sorted(self.freshness[bisect_left(self.arrivals, start) : bisect_left(self.arrivals, end)])
        return ages_s[min(len(ages_s) - 1, int(share * len(ages_s)))] if ages_s else float("inf")

    def silence(self, start: float, end: float) -> float:
        """The longest time without a list in [start, end]."""
        arrivals = self.arrivals[bisect_left(self.arrivals, start) : bisect_right(self.arrivals, end)]
        return max(b - a for a, b in itertools.pairwise((start, *arrivals, max(start, end))))

    def fresh_again(self, start: float, end: float, limit_s: float, window_s: float = 1.0) -> float | None:
        """The first moment from which the p95 of each window until `end` is within `limit_s`.

        None if there is no such moment, or less than a window has passed.
        """
        window_start, last_bad = start, None
        if start + window_s > end:
            return None
        while window_start + window_s <= end:
            if self.percentile(0.95, window_start, window_start + window_s) > limit_s:
                last_bad = window_start + window_s
            window_start += window_s / 4
        if last_bad is None:
            return start
        return last_bad if last_bad < end - window_s else None


class ListWatcher:
    """Follows the output topic in a thread."""

    def __init__(self, settings: Settings, tag: str) -> None:
        self.view = ReaderView(tag.encode())
        self._settings, self._failure = settings.kafka, ""
        self._positions: Offsets = {}
        self._consumer = consumer_at_end(settings.kafka, RECOMMENDATIONS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lists", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = END_S) -> list[str]:
        """Reads to the current end of the topic and stops; returns the reasons why the view is incomplete."""
        try:
            end_offsets = self._end_offsets()
            wait_while(lambda: self._lag(end_offsets) and self._thread.is_alive(), seconds, 0.1)
            lag = self._lag(end_offsets)
        except KafkaError as error:
            end_offsets, lag = {}, -1
            self._failure = self._failure or f"the end of the lists is not known: {error!r}"
        self.close()
        if self._failure:
            return [f"the reader of the lists failed: {self._failure}"]
        return [f"the reader did not reach the end of the lists: {lag} records before it"] if lag else []

    def close(self) -> None:
        """Stops at once."""
        self._stop.set()
        self._thread.join(30)
        if self._thread.is_alive():
            self._failure = self._failure or "it did not stop"
        else:
            self._consumer.close()

    def _end_offsets(self) -> Offsets:
        """Reads the end offsets with a client of its own: two threads must not share one."""
        reader = TopicReader(self._settings)
        try:
            return reader.ends(RECOMMENDATIONS)
        finally:
            reader.close()

    def _lag(self, end_offsets: Offsets) -> int:
        return sum(max(0, end - self._positions.get(partition, 0)) for partition, end in end_offsets.items())

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                for records in self._polled().values():
                    now, now_ms = time.monotonic(), time.time() * 1000
                    for record in records:
                        self.view.take(record, now, now_ms)
                self._positions = {
                    partition: self._consumer.position(partition) for partition in self._consumer.assignment()
                }
        except Exception as error:  # an error in a thread would go unseen, and a part of the lists pass for all
            self._failure = repr(error)

    def _polled(self) -> dict[TopicPartition, list[Any]]:
        """The next records; none while the broker is away: the positions stay."""
        try:
            polled: dict[TopicPartition, list[Any]] = self._consumer.poll(timeout_ms=20)
            return polled
        except KafkaError as error:
            if not error.retriable:
                raise
            self._stop.wait(0.1)
            return {}


class JobWatcher:
    """Polls the cluster five times a second for running tasks."""

    def __init__(self, settings: Settings) -> None:
        self.outages: list[tuple[float, float]] = []  # monotonic s: from, to
        self.failure = ""
        self._cluster, self._name = Cluster(settings.job), settings.job.name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job", daemon=True)
        self._thread.start()

    def stop(self) -> list[str]:
        """Stops; returns the reasons why its counts are incomplete."""
        self._stop.set()
        self._thread.join(15)
        if self._thread.is_alive():
            self.failure = self.failure or "it did not stop"
        self._cluster.close()
        return [f"the watcher of the job failed: {self.failure}"] if self.failure else []

    @property
    def restarts(self) -> int:
        """The number of outages."""
        return len(self.outages)

    @property
    def restart_s(self) -> float:
        """Flink's share of the recovery: the summed time in which not all tasks ran."""
        return sum(end - start for start, end in self.outages)

    def _run(self) -> None:
        try:
            self._watch()
        except Exception as error:  # an error in a thread would go unseen, and the job seem to have no restarts
            self.failure = repr(error)

    def _watch(self) -> None:
        since: float | None = None
        while not self._stop.is_set():
            asked_at = time.monotonic()
            try:
                runs = any(self._cluster.running_tasks(job["jid"]) for job in self._cluster.jobs(self._name))
            except LiveshelfError:
                runs = False
            now = time.monotonic()
            if not runs and since is None:
                since = asked_at
            elif runs and since is not None:
                self.outages.append((since, now))
                since = None
            self._stop.wait(0.2)
        if since is not None:
            self.outages.append((since, time.monotonic()))
