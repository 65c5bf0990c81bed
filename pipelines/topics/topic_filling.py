"""Settings of topics while a restore fills them."""

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
# Records keep their times, also those ahead of the clock. Segments do not roll by record time: a month of lists would
# make 4,000 files a partition.
FILLING = {
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": NEVER,
    "segment.ms": NEVER,
}
APPLIED_SECONDS = 30.0
_specs: Mapping[str, Mapping[str, str]] = {spec.name: spec.config for spec in TOPICS}


@contextlib.contextmanager
def filling(settings: KafkaSettings, topics: Iterable[str], inputs: Iterable[str], since_ms: int) -> Iterator[None]:
    """Inside the block, producers set the times of records. `inputs` keep their records longer by `since_ms`, the age of
    the backup, until `restore_retention`."""
    topics, inputs = tuple(topics), tuple(inputs)
    retentions = {topic: {RETENTION: _extended_retention(topic, since_ms)} for topic in inputs}
    _alter(settings, {topic: FILLING | retentions.get(topic, {}) for topic in topics})
    try:
        yield
    finally:
        _alter(settings, {topic: dict.fromkeys(FILLING, None) for topic in topics})


def restore_retention(settings: KafkaSettings, topics: Iterable[str]) -> None:
    """Sets the retention of the specification again."""
    _alter(settings, {topic: {RETENTION: None} for topic in topics})


def _extended_retention(topic: str, since_ms: int) -> str:
    retention_ms = int(_specs[topic].get(RETENTION, -1))
    return str(retention_ms + max(0, since_ms) + DAY_MS if retention_ms >= 0 else retention_ms)


def _alter(settings: KafkaSettings, configs: Mapping[str, Mapping[str, str | None]]) -> None:
    """Sets topics' settings (None: the value of the specification) and waits until the broker reports them."""
    with broker_errors(settings), contextlib.closing(new_admin(settings)) as admin:
        resources, expected = [], {}
        for topic, config in configs.items():
            resolved = {name: _specs[topic].get(name) if value is None else value for name, value in config.items()}
            changes = {
                name: (AlterConfigOp.DELETE, None) if value is None else (AlterConfigOp.SET, value)
                for name, value in resolved.items()
            }
            resources.append(ConfigResource(ConfigResourceType.TOPIC, topic, configs=changes))
            expected[topic] = {name: value for name, value in resolved.items() if value is not None}
        admin.alter_configs(resources)
        if differences := wait_while(lambda: _differences(admin, expected), APPLIED_SECONDS):
            raise BrokerError("topics with their new settings", differences[0], "liveshelf topics create --alter")


def _differences(admin: Any, expected: Mapping[str, Mapping[str, str | None]]) -> list[str]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in expected]
    actual = admin.describe_configs(resources, config_filter="all")["topic"]
    return [
        f"{name} of {topic} is {actual[topic][name]['value']}"
        for topic, config in expected.items()
        for name, value in config.items()
        if str(actual[topic][name]["value"]) != value
    ]
