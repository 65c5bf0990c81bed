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
from operators.records.contracts import EXAMPLES, MODELS, RECOMMENDATIONS, Model
from operators.rollout.guard import Guard, ListFact, is_watched
from operators.rollout.rollout import Rollout
from operators.rollout.rollout_rows import read_rollout, row_after
from operators.settings import Settings
from pipelines.provenance.audit_log import record_act
from pipelines.topics.rollout_topic import change_rollout

log = logging.getLogger(__name__)
POLL_S, RETRY_S, BEFORE_MS = 1.0, 5.0, 60_000  # lists of so long before a change show what was usual
MOST_RECORDS = 1000  # of a poll: a guard that is behind skips to the end
MOST_CLICKED = 50_000
BY = "guard"


class _List(msgspec.Struct):
    model: Model
    source: str
    items: list[msgspec.Raw]
    event_time: int


class _Example(msgspec.Struct):
    example_id: str
    model: Model | None
    user_id: str
    label: str
    revision: int


_list, _example = msgspec.json.Decoder(_List).decode, msgspec.json.Decoder(_Example).decode


class RolloutGuard:
    """`run` in a thread of its own. `found` counts what it took back."""

    def __init__(self, settings: Settings, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._settings, self._clock_ms = settings, clock_ms
        self._guard = Guard(settings.guard)
        self._row: bytes | None = None  # of this job, as read from the topic
        self._rollout: Rollout | None = None
        self._watching = False
        self._clicked: dict[str, None] = {}  # ids of examples that were counted as clicked
        self._stop = threading.Event()
        self.found = 0

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stop.set()

    def run(self) -> None:
        """Guards until `stop`; begins anew where the broker is away."""
        while not self._stop.is_set():
            try:
                self._follow()
            except (KafkaError, BrokerError) as error:
                log.warning("the guard does not reach the broker: %s", error_text(error))
                self._stop.wait(RETRY_S)

    def _follow(self) -> None:
        kafka = self._settings.kafka
        consumer = new_consumer(kafka, isolation_level="read_committed")
        try:
            models = partitions_of(consumer, MODELS, kafka)
            consumer.assign(models)
            consumer.seek_to_beginning(*models)
            self._watching, self._row = False, None
            while not self._stop.wait(POLL_S):
                polled = consumer.poll(timeout_ms=100, max_records=MOST_RECORDS)
                for partition, records in polled.items():
                    for record in records:
                        self._take(partition.topic, record)
                self._choose_topics(consumer, models)
                self._judge()
        finally:
            consumer.close()

    def _choose_topics(self, consumer: Any, models: list[TopicPartition]) -> None:
        """Reads lists and examples, from a minute before the change on, only while there is something to judge."""
        watches = is_watched(self._rollout, self._clock_ms(), self._settings.guard.watch_minutes)
        if watches == self._watching:
            return
        self._watching, kafka = watches, self._settings.kafka
        positions = {partition: consumer.position(partition) for partition in models}
        sampled: list[TopicPartition] = []
        if watches:
            sampled = partitions_of(consumer, RECOMMENDATIONS, kafka)[: self._settings.monitor.partitions]
            if self._settings.feedback.enabled:
                sampled += partitions_of(consumer, EXAMPLES, kafka)
        consumer.assign([*models, *sampled])
        for partition, offset in positions.items():
            consumer.seek(partition, offset)
        if sampled and self._rollout is not None:
            since = dict.fromkeys(sampled, self._rollout.changed_at - BEFORE_MS)
            for partition, found in consumer.offsets_for_times(since).items():
                if found is None:
                    consumer.seek_to_end(partition)
                else:
                    consumer.seek(partition, found.offset)

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
                self._take_example(_example(record.value))
        except msgspec.MsgspecError as error:  # the monitor counts it
            log.debug("a record of %s is unreadable: %s", topic, error)

    def _take_example(self, example: _Example) -> None:
        """A later revision says what became of an item that was counted: at most that it was clicked after all."""
        if example.model is None:
            return
        is_first, is_positive = example.revision == 0, example.label != "none"
        if is_positive:
            is_positive = example.example_id not in self._clicked
            self._clicked[example.example_id] = None
            if len(self._clicked) > MOST_CLICKED:
                del self._clicked[next(iter(self._clicked))]
        self._guard.on_example(_label(example.model), example.user_id, is_first=is_first, is_positive=is_positive)

    def _take_rollout(self, record: Any) -> None:
        if record.key != self._settings.job.name.encode():
            return
        former, self._row = self._row, row_after(self._row, record)
        if self._row is None or self._row is not former:  # it was not refused
            self._rollout = None if self._row is None else read_rollout(self._row)
            self._guard.begin(self._rollout)

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
        self.found += 1
        champions = [("before", before), ("champion", after)]
        what = {name: "the submitted bundle" if one is None else one.champion.label for name, one in champions}
        record_act(self._settings.kafka, "models rollback", by=BY, bundle=finding.bundle.label, why=finding.why, **what)


def _label(model: Model) -> str:
    return f"{model.name} {model.version}"
