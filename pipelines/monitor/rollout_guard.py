"""The guard: reads lists and examples while a rollout is watched, and takes back a bundle that harms."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.errors import KafkaError

from operators.errors import BrokerError, LiveshelfError
from operators.kafka_io.broker_errors import error_text
from operators.kafka_io.kafka_clients import new_consumer, partitions_of
from operators.kafka_io.list_rows import UNDECODABLE
from operators.kafka_io.read_to_end import read_between
from operators.records.contracts import EXAMPLES, MODELS, RECOMMENDATIONS, Label, Model, Source
from operators.rollout.guard import Guard, is_watched
from operators.rollout.recent_lists import KEPT_MS, ListFact
from operators.rollout.rollout import Rollout
from operators.rollout.rollout_rows import read_rollout, row_after
from operators.settings import Settings
from operators.time_units import MINUTE_MS, Moment
from pipelines.provenance.audit_log import record_act
from pipelines.topics.rollout_topic import change_rollout

log = logging.getLogger(__name__)
POLL_S, RETRY_S = 1.0, 5.0
MOST_RECORDS = 1000  # of a poll
MOST_BEFORE = 2000  # lists of a partition from before a change: enough to show what was usual
MOST_BEHIND = {RECOMMENDATIONS: 20_000, EXAMPLES: 200_000}  # records of a partition that are worth reading late
BY = "guard"


class _List(msgspec.Struct):
    model: Model
    source: str
    items: list[msgspec.Raw]
    event_time: Moment


class _Example(msgspec.Struct):
    model: Model | None
    user_id: str
    label: Label
    revision: int
    shown_at: int | None
    source: Source | None


_list, _example = msgspec.json.Decoder(_List).decode, msgspec.json.Decoder(_Example).decode


class RolloutGuard:
    """`run` in a thread of its own. `found` counts what it took back, `failed` how often it began anew after an error that is not
    the broker's."""

    def __init__(self, settings: Settings, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._settings, self._clock_ms = settings, clock_ms
        self._click_ms = round(settings.feedback.click_minutes * MINUTE_MS)
        self._begin_anew()
        self._stop = threading.Event()
        self.found = self.failed = 0

    def _begin_anew(self) -> None:
        """Nothing is counted twice: what was counted is read again."""
        self._guard = Guard(self._settings.guard)
        self._row: bytes | None = None  # of this job, as read from the topic
        self._rollout: Rollout | None = None
        self._watching = False

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stop.set()

    def run(self) -> None:
        """Guards until `stop`; begins anew after an error."""
        while not self._stop.is_set():
            try:
                self._follow()
            except (KafkaError, BrokerError) as error:
                log.warning("the guard does not reach the broker: %s", error_text(error))
            except Exception:
                self.failed += 1
                log.exception("the guard failed, and begins anew in %s s", RETRY_S)
            self._stop.wait(RETRY_S)

    def _follow(self) -> None:
        kafka = self._settings.kafka
        consumer = new_consumer(kafka, isolation_level="read_committed")
        self._begin_anew()
        try:
            models = partitions_of(consumer, MODELS, kafka)
            consumer.assign(models)
            starts, ends = consumer.beginning_offsets(models), consumer.end_offsets(models)
            for record in read_between(consumer, starts, ends, self._stop.is_set):
                self._take(MODELS, record)
            for partition, end in ends.items():
                consumer.seek(partition, end)
            while not self._stop.is_set():
                self._choose_topics(consumer, models)
                self._read(consumer, time.monotonic() + POLL_S)
                self._judge()
        finally:
            consumer.close()

    def _choose_topics(self, consumer: Any, models: list[TopicPartition]) -> None:
        """Reads lists and examples only while there is something to judge."""
        watches = is_watched(self._rollout, self._clock_ms(), self._settings.guard.watch_minutes)
        if watches == self._watching:
            return
        self._watching, kafka = watches, self._settings.kafka
        positions = {partition: consumer.position(partition) for partition in models}
        lists, examples = list[TopicPartition](), list[TopicPartition]()
        if watches:
            lists = partitions_of(consumer, RECOMMENDATIONS, kafka)[: self._settings.monitor.partitions]
            if self._settings.feedback.enabled:
                examples = partitions_of(consumer, EXAMPLES, kafka)
        consumer.assign([*models, *lists, *examples])
        if self._rollout is not None and lists:
            now_ms, since_ms = self._clock_ms(), self._rollout.known_since
            is_new = now_ms - since_ms < self._settings.guard.watch_minutes * MINUTE_MS
            usual = _offsets_at(consumer, lists, since_ms if is_new else now_ms)
            first = _offsets_at(consumer, lists, (since_ms if is_new else now_ms) - KEPT_MS)
            positions |= {one: max(first[one], usual[one] - MOST_BEFORE) for one in lists}
            positions |= _offsets_at(consumer, examples, self._guard.clicks_from_ms + self._click_ms)
        for partition, offset in positions.items():
            consumer.seek(partition, offset)

    def _read(self, consumer: Any, until_s: float) -> None:
        """Reads what there is, to the end of the topics or until this time (monotonic), and pauses for the rest of it."""
        while not self._stop.is_set() and time.monotonic() < until_s:
            polled = consumer.poll(timeout_ms=100, max_records=MOST_RECORDS)
            for partition, records in polled.items():
                for record in records:
                    self._take(partition.topic, record)
                self._skip(consumer, partition, records[-1].timestamp)
            # what is behind the end and does not come belongs to an open transaction
            is_full = sum(map(len, polled.values())) >= MOST_RECORDS
            if not is_full and not any(_behind(consumer, partition) for partition in polled):
                self._stop.wait(max(0.0, until_s - time.monotonic()))

    def _skip(self, consumer: Any, partition: TopicPartition, reached_ms: int) -> None:
        """A guard that is far behind goes on nearer to the end, but for lists from before the champion."""
        behind, most = _behind(consumer, partition), MOST_BEHIND.get(partition.topic)
        if most is None or behind <= most or self._rollout is None:
            return
        if partition.topic == RECOMMENDATIONS and reached_ms < self._rollout.known_since:
            return
        log.warning("the guard skips %d records of %s-%d", behind - most // 2, partition.topic, partition.partition)
        consumer.seek(partition, consumer.highwater(partition) - most // 2)

    def _take(self, topic: str, record: Any) -> None:
        if topic == MODELS:
            self._take_rollout(record)
            return
        try:
            if topic == RECOMMENDATIONS and record.value is not None:
                one = _list(record.value)
                fact = ListFact(record.timestamp, one.event_time, one.source != "model", not one.items)
                self._guard.on_list(_label(one.model), fact)
            elif topic == EXAMPLES and record.value is not None:
                self._take_example(_example(record.value), record.timestamp)
        except UNDECODABLE as error:  # the monitor counts it
            log.debug("a record of %s is unreadable: %s", topic, error)

    def _take_example(self, example: _Example, written_ms: int) -> None:
        """Counts an item once, when its click window closes: a later revision says more of items that have been out for longer,
        and those are the champion's. Leaves out what the report on an experiment does: items without an impression and items
        that were not on the list have positive examples only."""
        if example.model is None or example.source is None or example.shown_at is None or example.revision:
            return
        if (
            written_ms - self._click_ms >= self._guard.clicks_from_ms
        ):  # it was shown after the change, by the broker's clock
            is_clicked = example.label != "none"
            self._guard.on_shown(_label(example.model), example.user_id, is_clicked=is_clicked)

    def _take_rollout(self, record: Any) -> None:
        if record.key != self._settings.job.name.encode():
            return
        former, self._row = self._row, row_after(self._row, record)
        if self._row is None or self._row is not former:  # it was not refused
            self._rollout = None if self._row is None else read_rollout(self._row)
            self._guard.begin(self._rollout, self._clock_ms())

    def _judge(self) -> None:
        finding = self._guard.finding(self._rollout, self._clock_ms())
        if finding is None:
            return
        log.error("%s is taken back: %s", finding.bundle.label, finding.why)
        try:
            before, after = change_rollout(self._settings, finding.remedy, finding.why, BY)
        except LiveshelfError as error:
            log.error("it could not be taken back, again in a second: %s", error)
            return
        self._rollout = after
        if after == before:  # somebody was faster
            return
        self.found += 1
        champions = [("before", before), ("champion", after)]
        what = {name: "the submitted bundle" if one is None else one.champion.label for name, one in champions}
        record_act(self._settings.kafka, "models rollback", by=BY, bundle=finding.bundle.label, why=finding.why, **what)


def _label(model: Model) -> str:
    return f"{model.name} {model.version}"


def _behind(consumer: Any, partition: TopicPartition) -> int:
    """How many records of a partition are not read yet, as far as the consumer knows."""
    end = consumer.highwater(partition)
    return 0 if end is None else max(0, end - consumer.position(partition))


def _offsets_at(consumer: Any, partitions: list[TopicPartition], at_ms: int) -> dict[TopicPartition, int]:
    """Where the records from a time on (epoch ms) begin; the end where there are none."""
    if not partitions:
        return {}
    found, ends = consumer.offsets_for_times(dict.fromkeys(partitions, max(0, at_ms))), consumer.end_offsets(partitions)
    return {one: ends[one] if found.get(one) is None else found[one].offset for one in partitions}
