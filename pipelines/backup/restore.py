"""Restores a backup into an empty stack.

A new topic begins at offset 0, so the savepoint's source offsets are rewritten
(`pipelines.submission.savepoint_offsets`). Each record keeps its time, which decides the age of an event and what an
erasure covers. So topics use CreateTime during the restore, and the inputs keep old records until the job has read
them.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kafka import TopicPartition

from operators.errors import BrokerError, LiveshelfError
from operators.kafka_io.kafka_clients import broker_errors
from operators.kafka_io.read_to_end import Offsets
from operators.records.topic_specs import JOB_INPUTS
from operators.settings import Settings
from pipelines.backup.backup import TOPICS
from pipelines.backup.backup_folder import read_manifest
from pipelines.backup.savepoint_transactions import forget_transactions
from pipelines.submission.reading_progress import wait_until_read
from pipelines.submission.savepoint_offsets import METADATA, move_offsets, source_offsets
from pipelines.topics.topic_admin import ensure_topics
from pipelines.topics.topic_archive import TopicImport, import_records
from pipelines.topics.topic_filling import filling, restore_retention
from pipelines.topics.topic_reader import TopicReader

Submit = Callable[[Settings, Path, str], str]


@dataclass(frozen=True)
class RestoredJob:
    """The restored job, and topic -> number of restored records."""

    job_id: str
    records: dict[str, int]


def restore_backup(settings: Settings, folder: Path, savepoints: Path, submit: Submit) -> RestoredJob:
    """Fills the topics of an empty stack, starts the job with `submit(settings, bundle, savepoint)` and waits until the
    job has read them.

    `savepoints`: the cluster's folder of savepoints; the restore writes one there. Nobody else may write to the topics.
    Raises `StackError` for a damaged backup, `BrokerError` if the stack is not empty or somebody else writes, and errors
    of `submit`. After an error, empty the stack before you try again.
    """
    manifest = read_manifest(folder)
    if manifest["partitions"] != settings.kafka.partitions:
        raise BrokerError(
            f"kafka.partitions = {manifest['partitions']}, as in the backup",
            str(settings.kafka.partitions),
            "set it for the restore: users keep their partition",
        )
    state_offsets = source_offsets(folder / "savepoint", JOB_INPUTS, settings.kafka.partitions)
    with broker_errors(settings.kafka):
        _require_empty_topics(settings)
        job_id, imports = _fill_and_submit(
            settings, folder, savepoints, submit, manifest["made_at"] * 1000, state_offsets
        )
        ends = {
            TopicPartition(topic, number): end for topic in JOB_INPUTS for number, end in imports[topic].ends.items()
        }
        wait_until_read(settings, job_id, ends)
        restore_retention(settings.kafka, JOB_INPUTS)
    return RestoredJob(job_id, {topic: topic_import.records for topic, topic_import in imports.items()})


def _fill_and_submit(
    settings: Settings, folder: Path, savepoints: Path, submit: Submit, backup_ms: int, state_offsets: Offsets
) -> tuple[str, dict[str, TopicImport]]:
    try:
        with broker_errors(settings.kafka):
            imports = _fill(settings, folder, backup_ms, state_offsets)
        savepoint = _moved_savepoint(folder / "savepoint", savepoints, imports, state_offsets)
        try:
            return submit(settings, folder / "bundle", f"file://{savepoint}"), imports
        except BaseException:
            shutil.rmtree(savepoint)  # else `liveshelf resume` would find it in the next stack
            raise
    except LiveshelfError as error:  # the topics are not empty any more
        error.fix += "; then restore into a new stack (this one: liveshelf down --purge, liveshelf up)"
        raise


def _fill(settings: Settings, folder: Path, backup_ms: int, state_offsets: Offsets) -> dict[str, TopicImport]:
    since_ms = int(time.time() * 1000) - backup_ms
    imports = {}
    with filling(settings.kafka, TOPICS, JOB_INPUTS, since_ms):
        for topic in TOPICS:
            seen_until = {
                partition.partition: offset for partition, offset in state_offsets.items() if partition.topic == topic
            }
            file = folder / "topics" / f"{topic}.jsonl.gz"
            topic_import = (
                TopicImport()
                if not file.exists()
                else import_records(settings.kafka, topic, file, backup_ms, seen_until)
            )
            _require_counted_records(settings, topic, topic_import)
            imports[topic] = topic_import
    return imports


def _require_empty_topics(settings: Settings) -> None:
    for state in ensure_topics(settings.kafka):
        if difference := state.differs.get("partitions"):
            raise BrokerError(f"{difference[0]} partitions of {state.name}", difference[1], "restore into a new stack")
    with closing(TopicReader(settings.kafka)) as reader:
        for topic in TOPICS:
            if records := sum(reader.ends(topic).values()):
                raise BrokerError(f"an empty topic {topic}", f"{records} records", "restore into a new stack")


def _require_counted_records(settings: Settings, topic: str, topic_import: TopicImport) -> None:
    """Another producer's records would shift the offsets that the import has counted."""
    with closing(TopicReader(settings.kafka)) as reader:
        ends = {partition.partition: end for partition, end in reader.ends(topic).items() if end}
    if ends != topic_import.ends:
        raise BrokerError(
            f"{topic_import.records} records in {topic}",
            f"{sum(ends.values())}: somebody else writes to it",
            "stop the shop's producers until `liveshelf restore` has returned, and restore into a new stack",
        )


def _moved_savepoint(source: Path, savepoints: Path, imports: dict[str, TopicImport], state_offsets: Offsets) -> Path:
    """Copies the savepoint to `savepoints`, with new source offsets. Writes the metadata last, so a partial copy is no
    savepoint."""
    target = savepoints / f"savepoint-restored-{time.time_ns()}"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(METADATA))
    staging = target / f".{METADATA}"
    staging.mkdir()
    shutil.copy(source / METADATA, staging)
    forget_transactions(staging)
    move_offsets(
        staging, {partition: imports[partition.topic].next_offset(partition.partition) for partition in state_offsets}
    )
    (staging / METADATA).rename(target / METADATA)
    staging.rmdir()
    return target
