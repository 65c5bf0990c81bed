"""What the stack tests publish and read, with kafka-python as any shop would."""

import contextlib
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from kafka import KafkaProducer
from kafka.admin import AlterConfigOp, ConfigResource, ConfigResourceType

from operators.kafka_io.kafka_clients import new_admin, new_producer
from operators.kafka_io.list_rows import ListRows
from operators.kafka_io.read_to_end import Offsets
from operators.kafka_io.row_rules import Refused
from operators.records.contracts import CATALOGUE, DEAD_LETTERS, EVENTS, HEADER_PREFIX, RECOMMENDATIONS
from operators.settings import KafkaSettings
from pipelines.topics.topic_reader import TopicReader


class Topics:
    """Reads and writes whole topics."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: KafkaProducer | None = None

    @property
    def producer(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = new_producer(self._settings, max_request_size=2_000_000)
        return self._producer

    def send(self, topic: str, key: str | bytes | None, value: bytes | dict[str, Any] | None) -> None:
        """One record; a dict becomes JSON."""
        raw_key = key.encode() if isinstance(key, str) else key
        raw = json.dumps(value).encode() if isinstance(value, dict) else value
        self.producer.send(topic, key=raw_key, value=raw)

    def publish(self, events: Iterable[dict[str, Any]]) -> int:
        """Events, keyed by user."""
        published = [self.send(EVENTS, event["user_id"], event) for event in events]
        self.producer.flush()
        return len(published)

    def ends(self, topic: str) -> Offsets:
        """Where each partition of a topic ends now."""
        with self._reader() as reader:
            return reader.ends(topic)

    def read(self, topic: str, start: Offsets | None = None) -> list[Any]:
        """All records from `start` (or the beginning) to the present end, partition by partition."""
        with self._reader() as reader:
            return reader.read(topic, start or {})

    def newest_lists(self, start: Offsets | None = None) -> dict[str, tuple[dict[str, Any] | None, dict[str, bytes]]]:
        """User -> the list that a reader ends up with (None: erased), expired or not, and its headers."""
        newest: dict[str, tuple[dict[str, Any] | None, dict[str, bytes]]] = {}
        rule, rows = ListRows(forget_ms=None), {}
        for record in self.read(RECOMMENDATIONS, start):
            with contextlib.suppress(Refused):
                rows[record.key], _ = rule.take(rows.get(record.key), record, record.timestamp)
                made = json.loads(record.value) if record.value else None
                newest[record.key.decode()] = (made, dict(record.headers))
        return newest

    def dead_letters(self, start: Offsets) -> list[Any]:
        """Dead letters of events and erasures since `start`; the monitor writes those of the catalogue."""
        written = self.read(DEAD_LETTERS, start)
        return [letter for letter in written if (f"{HEADER_PREFIX}topic", CATALOGUE.encode()) not in letter.headers]

    def configure(self, topic: str, name: str, value: str) -> None:
        """Sets one setting of a topic; the broker applies it within a second."""
        with contextlib.closing(new_admin(self._settings)) as admin:
            change = {name: (AlterConfigOp.SET, value)}
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=change)])
        time.sleep(1)

    def forget_group(self, group: str) -> None:
        """The group has never read, and there are no events."""
        admin = new_admin(self._settings)
        admin.delete_groups([group])
        admin.delete_records(self.ends(EVENTS))
        admin.close()

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=5)

    def _reader(self) -> contextlib.closing[TopicReader]:
        return contextlib.closing(TopicReader(self._settings))


def order(made: dict[str, Any]) -> tuple[int, int]:
    """What readers compare."""
    return made["epoch"], made["version"]


def eventually(what: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true answer; fails with the last answer when none comes in time."""
    deadline, answer = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.25)
    raise AssertionError(f"not within {seconds} s; last answer: {answer!r}")
