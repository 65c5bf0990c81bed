"""Creates the topics, and compares existing ones with their specification."""

from collections.abc import Iterable
from dataclasses import dataclass

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError

from operators.kafka_io.kafka_clients import broker_errors, new_admin
from operators.records.topic_specs import TOPICS, TopicSpec
from operators.settings import KafkaSettings


@dataclass(frozen=True)
class TopicState:
    """One topic after `ensure_topics`. `differs`: setting -> (expected, actual)."""

    name: str
    created: bool
    differs: dict[str, tuple[str, str]]


def ensure_topics(
    settings: KafkaSettings, specs: Iterable[TopicSpec] = TOPICS, *, alter: bool = False
) -> list[TopicState]:
    """Creates missing topics. `alter` sets the settings of existing topics to the specification, except the number of
    partitions. Raises `BrokerError`."""
    with new_admin(settings) as admin, broker_errors(settings):
        return [_ensure(admin, settings, spec, alter=alter) for spec in specs]


def _ensure(admin: KafkaAdminClient, settings: KafkaSettings, spec: TopicSpec, *, alter: bool) -> TopicState:
    new_topic = {
        "num_partitions": settings.partitions,
        "replication_factor": settings.replication,
        "configs": spec.config,
    }
    try:
        admin.create_topics({spec.name: new_topic}, wait_for_metadata=True)
        return TopicState(spec.name, True, {})
    except TopicAlreadyExistsError:
        differs = _differences(admin, settings, spec)
        if alter and differs.keys() - {"partitions"}:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name, configs=dict(spec.config))])
            differs = _differences(admin, settings, spec)
        return TopicState(spec.name, False, differs)


def _differences(admin: KafkaAdminClient, settings: KafkaSettings, spec: TopicSpec) -> dict[str, tuple[str, str]]:
    resource = ConfigResource(ConfigResourceType.TOPIC, spec.name)
    answer = admin.describe_configs([resource], config_filter="all")
    actual = {name: str(entry["value"]) for name, entry in next(iter(answer["topic"].values())).items()}
    differs = {
        name: (expected, actual.get(name, "?"))
        for name, expected in spec.config.items()
        if actual.get(name) != expected
    }
    partitions = len(admin.describe_topics([spec.name])[0]["partitions"])
    if partitions != settings.partitions:
        differs["partitions"] = (str(settings.partitions), str(partitions))
    return differs
