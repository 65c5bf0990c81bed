"""Where a job starts reading, checked before it is submitted: first offsets, and no start with empty state by mistake."""

import logging
import time
from pathlib import Path
from urllib.parse import urlparse

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import GroupIdNotFoundError, KafkaError
from kafka.structs import OffsetAndMetadata

from operators.errors import BrokerError, ClusterError
from operators.kafka_io.broker_errors import broker_error
from operators.kafka_io.kafka_clients import new_admin
from operators.records.topic_specs import JOB_INPUTS, JOB_OUTPUTS, TOPICS
from operators.settings import Settings
from pipelines.submission.job_rights import check_rights
from pipelines.submission.savepoint_offsets import source_offsets

log = logging.getLogger(__name__)
TIME, POLICY, RETENTION = "message.timestamp.type", "cleanup.policy", "retention.ms"
COORDINATOR_SECONDS = 20  # a new broker first creates its topic of consumer groups


def prepare_start(settings: Settings, *, savepoint: str | None, fresh: bool) -> None:
    """Checks the input topics and gives the group its first offsets.

    `savepoint`: a savepoint or checkpoint, which has offsets of its own. `fresh`: start from the earliest event. With
    neither, a group that has read before is refused: its state would be lost for good. Raises `BrokerError` or
    `ClusterError`.
    """
    deadline = time.monotonic() + COORDINATOR_SECONDS
    while True:
        try:
            check_rights(settings)
            with new_admin(settings.kafka) as admin:
                partitions = _partitions(admin, settings)
                if savepoint and settings.job.on_lost_events == "fail":
                    _refuse_lost_events(admin, partitions, offsets_of(savepoint, settings.kafka.partitions))
                # after a restore too: the state has no offset for a partition that was never read
                _first_offsets(admin, settings.job.name, partitions, stateless=not savepoint, fresh=fresh)
                return
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise broker_error(error, settings.kafka.client_options()) from error
            time.sleep(0.5)


def offsets_of(savepoint: str, partitions: int) -> dict[TopicPartition, int]:
    """The source offsets of a savepoint on this machine; empty where it lies elsewhere or cannot be read: the running
    source then checks them itself."""
    folder = Path(urlparse(savepoint).path)
    try:
        return source_offsets(folder, JOB_INPUTS, partitions)
    except (OSError, ClusterError):
        return {}


def _partitions(admin: KafkaAdminClient, settings: Settings) -> list[TopicPartition]:
    existing = set(admin.list_topics())
    if missing := [topic for topic in (*JOB_INPUTS, *JOB_OUTPUTS) if topic not in existing]:
        raise BrokerError(f"the topic {missing[0]}", "no such topic", "liveshelf topics create")
    _check_settings(admin)
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


def _check_settings(admin: KafkaAdminClient) -> None:
    """Refuses a topic with the client's time (ages, epochs and erasures are judged by the record's time), and a compacted
    topic where every record counts. Logs a warning where the retention is too short.

    A user without the right to describe the topics gets no answer here: nothing is checked then.
    """
    specs = {spec.name: spec.config for spec in TOPICS}
    described = [topic for topic in (*JOB_INPUTS, *JOB_OUTPUTS) if topic in specs]
    answer = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in described], config_filter="all"
    )
    for topic, config in answer["topic"].items():
        values = {name: str(entry["value"]) for name, entry in config.items() if entry.get("value") is not None}
        for name, expected in specs[topic].items():
            if name not in values:
                if name == TIME:
                    log.warning("the broker does not tell %s of %s: it must be %s", name, topic, expected)
            elif (name == TIME and values[name] != expected) or (
                name == POLICY and _compacts(values[name]) > _compacts(expected)
            ):
                raise BrokerError(f"{name} = {expected} for {topic}", values[name], "liveshelf topics create --alter")
            elif (name == RETENTION and _keeps_less(values[name], expected)) or (
                name == POLICY and values[name] != expected
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
    begins = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    ends = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    if shorter := [place for place, offset in state_offsets.items() if ends[place].offset < offset]:
        raise BrokerError(
            f"{shorter[0].topic}-{shorter[0].partition} to reach offset {state_offsets[shorter[0]]}, where the state stands",
            f"a topic that ends at {ends[shorter[0]].offset}: it was made anew",
            'set job.on_lost_events = "skip" to go on with what it holds now',
        )
    lost = {place: max(0, begins[place].offset - offset) for place, offset in state_offsets.items()}
    if any(lost.values()):
        worst = max(lost, key=lambda place: lost[place])
        raise BrokerError(
            f"the events from offset {state_offsets[worst]} of {worst.topic}-{worst.partition} on, where the state stands",
            f"a topic that begins at {begins[worst].offset}: retention has removed {sum(lost.values())} events unread",
            'set job.on_lost_events = "skip" to go on without them, and look why the job stood still for so long',
        )


def _first_offsets(
    admin: KafkaAdminClient, group: str, partitions: list[TopicPartition], *, stateless: bool, fresh: bool
) -> None:
    begins = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    try:
        committed = admin.list_group_offsets([group])[group]
    except GroupIdNotFoundError:
        committed = {}
    read = sum(max(0, committed[place].offset - begins[place].offset) for place in partitions if place in committed)
    if read and stateless and not fresh:
        raise ClusterError(
            f"a start from the last state: the group {group} has read {read} records",
            "a start without state",
            "liveshelf resume goes on from the newest checkpoint or savepoint; "
            "liveshelf submit --fresh reads all events again",
        )
    first_offsets = {p: OffsetAndMetadata(begins[p].offset, "", -1) for p in partitions if fresh or p not in committed}
    if first_offsets:
        admin.alter_group_offsets(group, first_offsets)
