"""Topics while they are filled from a backup: what they must be then and not otherwise."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kafka.admin import AlterConfigOp, ConfigResource, ConfigResourceType

from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import broker_errors, new_admin
from operators.records.topic_specs import TOPICS
from operators.settings import KafkaSettings
from operators.time_units import DAY_MS
from operators.waiting import wait_while

NEVER = str(2**63 - 1)
RETENTION = "retention.ms"
# records keep the times they had; a clock that was ahead is no reason to refuse one; and a segment is not closed because
# the next record is ten minutes younger: lists of a month would make 4,000 files a partition
FILLING = {
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": NEVER,
    "segment.ms": NEVER,
}
APPLIED_SECONDS = 30.0
_specs: Mapping[str, Mapping[str, str]] = {spec.name: spec.config for spec in TOPICS}


@contextlib.contextmanager
def filling(settings: KafkaSettings, topics: Iterable[str], inputs: Iterable[str], since_ms: int) -> Iterator[None]:
    """Inside, producers say the times of records. Of `inputs` nothing is removed for being old until `keep_as_usual`:
    they keep their records for `since_ms`, how long ago the backup was made, in addition to the usual."""
    topics, inputs = tuple(topics), tuple(inputs)
    longer = {topic: {RETENTION: _kept(topic, since_ms)} for topic in inputs}
    _set(settings, {topic: FILLING | longer.get(topic, {}) for topic in topics})
    try:
        yield
    finally:
        _set(settings, {topic: dict.fromkeys(FILLING, None) for topic in topics})


def keep_as_usual(settings: KafkaSettings, topics: Iterable[str]) -> None:
    """Records are kept as long as the topic's specification says."""
    _set(settings, {topic: {RETENTION: None} for topic in topics})


def _kept(topic: str, since_ms: int) -> str:
    usual = int(_specs[topic].get(RETENTION, -1))
    return str(usual + max(0, since_ms) + DAY_MS if usual >= 0 else usual)


def _set(settings: KafkaSettings, wanted: Mapping[str, Mapping[str, str | None]]) -> None:
    """Sets topics' settings (None: as the specification has it) and returns when the broker says so."""
    with broker_errors(settings), contextlib.closing(new_admin(settings)) as admin:
        changes = {}
        for topic, config in wanted.items():
            found = {name: _specs[topic].get(name) if value is None else value for name, value in config.items()}
            changes[topic] = {
                name: (AlterConfigOp.DELETE, None) if value is None else (AlterConfigOp.SET, value)
                for name, value in found.items()
            }
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, t, configs=c) for t, c in changes.items()])
        values = {t: {n: v for n, (_, v) in c.items() if v is not None} for t, c in changes.items()}
        if wrong := wait_while(lambda: _wrong(admin, values), APPLIED_SECONDS):
            raise BrokerError("topics with their new settings", wrong[0], "liveshelf topics create --alter")


def _wrong(admin: Any, wanted: Mapping[str, Mapping[str, str | None]]) -> list[str]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in wanted]
    answer = admin.describe_configs(resources, config_filter="all")["topic"]
    return [
        f"{name} of {topic} is {answer[topic][name]['value']}"
        for topic, config in wanted.items()
        for name, value in config.items()
        if str(answer[topic][name]["value"]) != value
    ]
