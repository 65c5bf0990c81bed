"""Checks before a submission: topics, rights, first offsets, and no start with empty state by mistake."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import GroupIdNotFoundError, KafkaError
from kafka.structs import OffsetAndMetadata

from operators.errors import BrokerError, ClusterError
from operators.kafka_io.broker_errors import broker_error
from operators.kafka_io.kafka_clients import new_admin
from operators.records.topic_specs import JOB_INPUTS, TOPICS, job_outputs
from operators.settings import Settings
from pipelines.submission.job_rights import check_rights
from pipelines.submission.savepoint_offsets import source_offsets

log = logging.getLogger(__name__)
TIMESTAMP_TYPE, CLEANUP_POLICY, RETENTION = "message.timestamp.type", "cleanup.policy", "retention.ms"
COORDINATOR_SECONDS = 20  # a new broker first creates `__consumer_offsets`


def prepare_start(settings: Settings, *, savepoint: str | None, fresh: bool) -> None:
    """Checks the topics and commits the group's first offsets.

    `savepoint`: a savepoint or checkpoint, with offsets of its own. `fresh`: start from the earliest event. With neither,
    a group that has read records is refused: its state would be lost for good. Raises `BrokerError`, `ClusterError`.
    """
    deadline = time.monotonic() + COORDINATOR_SECONDS
    while True:
        try:
            check_rights(settings)
            with new_admin(settings.kafka) as admin:
                partitions = _partitions(admin, settings)
                if savepoint and settings.job.on_lost_events == "fail":
                    _refuse_lost_events(admin, partitions, offsets_of(savepoint, settings.kafka.partitions))
                # also with a savepoint: it has no offset for a partition that was never read
                _set_first_offsets(admin, settings.job.name, partitions, stateless=not savepoint, fresh=fresh)
                return
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise broker_error(error, settings.kafka.client_options()) from error
            time.sleep(0.5)


def offsets_of(savepoint: str, partitions: int) -> dict[TopicPartition, int]:
    """The source offsets of a savepoint; empty if it is not on this machine or cannot be read: then only the running
    source checks its offsets."""
    folder = Path(urlparse(savepoint).path)
    try:
        return source_offsets(folder, JOB_INPUTS, partitions)
    except (OSError, ClusterError):
        return {}


def _partitions(admin: KafkaAdminClient, settings: Settings) -> list[TopicPartition]:
    outputs = job_outputs(feedback=settings.feedback.enabled, demand=settings.demand.enabled)
    existing, needed = set(admin.list_topics()), (*JOB_INPUTS, *outputs)
    if missing := [topic for topic in needed if topic not in existing]:
        raise BrokerError(f"the topic {missing[0]}", "no such topic", "liveshelf topics create")
    _check_settings(admin, needed)
    counts = {entry["name"]: len(entry["partitions"]) for entry in admin.describe_topics(list(JOB_INPUTS))}
    for topic, count in counts.items():
        if count != settings.kafka.partitions:
            raise BrokerError(
                f"{settings.kafka.partitions} partitions of {topic} (kafka.partitions)",
                f"{count}",
                "partitions cannot be added: users would move and their events change order. Copy the topic to a new one "
                "(liveshelf backup, liveshelf restore with the new count), or set kafka.partitions if this is meant",
            )
    return [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]


def _check_settings(admin: KafkaAdminClient, needed: Sequence[str]) -> None:
    """Of the topics of the job. Refuses CreateTime (ages, epochs and erasures need the broker's time), and compaction where each record counts.
    Logs a warning for a short retention.

    Checks nothing for a user without the right to describe topics: the broker then returns no settings.
    """
    specs = {spec.name: spec.config for spec in TOPICS}
    topics = [topic for topic in needed if topic in specs]
    answer = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics], config_filter="all"
    )
    for topic, config in answer["topic"].items():
        values = {name: str(entry["value"]) for name, entry in config.items() if entry.get("value") is not None}
        for name, expected in specs[topic].items():
            if name not in values:
                if name == TIMESTAMP_TYPE:
                    log.warning("the broker does not tell %s of %s: it must be %s", name, topic, expected)
            elif (name == TIMESTAMP_TYPE and values[name] != expected) or (
                name == CLEANUP_POLICY and _compacts(values[name]) > _compacts(expected)
            ):
                raise BrokerError(f"{name} = {expected} for {topic}", values[name], "liveshelf topics create --alter")
            elif (name == RETENTION and _keeps_less(values[name], expected)) or (
                name == CLEANUP_POLICY and values[name] != expected
            ):
                log.warning(
                    "%s has %s = %s, not %s: liveshelf topics create --alter", topic, name, values[name], expected
                )


def _compacts(policy: str) -> bool:
    return "compact" in policy.split(",")


def _keeps_less(actual: str, expected: str) -> bool:
    """Both in ms; -1 keeps records for ever."""
    return actual != "-1" and (expected == "-1" or int(actual) < int(expected))


def _refuse_lost_events(
    admin: KafkaAdminClient, partitions: list[TopicPartition], state_offsets: dict[TopicPartition, int]
) -> None:
    beginnings = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    ends = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    if truncated := [partition for partition, offset in state_offsets.items() if ends[partition].offset < offset]:
        partition = truncated[0]
        raise BrokerError(
            f"{partition.topic}-{partition.partition} to reach offset {state_offsets[partition]}, where the state stands",
            f"a topic that ends at {ends[partition].offset}: it was made anew",
            'set job.on_lost_events = "skip" to go on with what it holds now',
        )
    lost = {partition: max(0, beginnings[partition].offset - offset) for partition, offset in state_offsets.items()}
    if any(lost.values()):
        partition = max(lost, key=lambda partition: lost[partition])
        raise BrokerError(
            f"the events from offset {state_offsets[partition]} of {partition.topic}-{partition.partition} on, "
            "where the state stands",
            f"a topic that begins at {beginnings[partition].offset}: "
            f"retention has removed {sum(lost.values())} events unread",
            'set job.on_lost_events = "skip" to go on without them, and look why the job stood still for so long',
        )


def _set_first_offsets(
    admin: KafkaAdminClient, group: str, partitions: list[TopicPartition], *, stateless: bool, fresh: bool
) -> None:
    beginnings = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    try:
        committed = admin.list_group_offsets([group])[group]
    except GroupIdNotFoundError:
        committed = {}
    read_count = sum(
        max(0, committed[partition].offset - beginnings[partition].offset)
        for partition in partitions
        if partition in committed
    )
    if read_count and stateless and not fresh:
        raise ClusterError(
            f"a start from the last state: the group {group} has read {read_count} records",
            "a start without state",
            "liveshelf resume goes on from the newest checkpoint or savepoint; "
            "liveshelf submit --fresh reads all events again",
        )
    first_offsets = {
        partition: OffsetAndMetadata(beginnings[partition].offset, "", -1)
        for partition in partitions
        if fresh or partition not in committed
    }
    if first_offsets:
        admin.alter_group_offsets(group, first_offsets)
