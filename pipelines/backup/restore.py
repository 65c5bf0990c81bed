"""A backup back into an empty stack: topics with the times they had, and a state that goes on where they do.

A new topic begins at offset 0, so the savepoint's sources are moved to where their records now lie
(`pipelines.submission.savepoint_offsets`). Each record keeps its time: the age of an event, and what an erasure covers, are judged
by it. So topics take the times of their producer while they are filled, and the inputs keep their records until the job
has read them, however old they are.
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
from pipelines.topics.topic_archive import Imported, import_records
from pipelines.topics.topic_filling import filling, keep_as_usual
from pipelines.topics.topic_reader import TopicReader

Submit = Callable[[Settings, Path, str], str]


@dataclass(frozen=True)
class Restored:
    """What came back."""

    job_id: str
    records: dict[str, int]


def restore_backup(settings: Settings, folder: Path, savepoints: Path, submit: Submit) -> Restored:
    """Fills the topics of an empty stack, starts the job with `submit(settings, bundle, savepoint)` and waits until it
    has read what was there.

    `savepoints`: where the cluster reads savepoints; one is written there. Nobody else may write to the topics meanwhile.
    Raises `StackError` for a damaged backup, `BrokerError` where the stack is not empty or somebody else writes, and what
    `submit` raises. After an error the stack must be emptied before it is tried again.
    """
    manifest = read_manifest(folder)
    if manifest["partitions"] != settings.kafka.partitions:
        raise BrokerError(
            f"kafka.partitions = {manifest['partitions']}, as in the backup",
            str(settings.kafka.partitions),
            "set it for the restore: users keep their partition",
        )
    stands = source_offsets(folder / "savepoint", JOB_INPUTS, settings.kafka.partitions)
    with broker_errors(settings.kafka):
        _refuse_records(settings)
        job_id, imported = _start(settings, folder, savepoints, submit, manifest["made_at"] * 1000, stands)
        ends = {TopicPartition(topic, n): end for topic in JOB_INPUTS for n, end in imported[topic].ends.items()}
        wait_until_read(settings, job_id, ends)
        keep_as_usual(settings.kafka, JOB_INPUTS)
    return Restored(job_id, {topic: found.records for topic, found in imported.items()})


def _start(
    settings: Settings, folder: Path, savepoints: Path, submit: Submit, made_ms: int, stands: Offsets
) -> tuple[str, dict[str, Imported]]:
    try:
        with broker_errors(settings.kafka):
            imported = _fill(settings, folder, made_ms, stands)
        savepoint = _moved_savepoint(folder / "savepoint", savepoints, imported, stands)
        try:
            return submit(settings, folder / "bundle", f"file://{savepoint}"), imported
        except BaseException:
            shutil.rmtree(savepoint)  # `liveshelf resume` must not take it for the state of what lies there next
            raise
    except LiveshelfError as error:  # the topics are not empty any more
        error.fix += "; then restore into a new stack (this one: liveshelf down --purge, liveshelf up)"
        raise


def _fill(settings: Settings, folder: Path, made_ms: int, stands: Offsets) -> dict[str, Imported]:
    since_ms = int(time.time() * 1000) - made_ms
    imported = {}
    with filling(settings.kafka, TOPICS, JOB_INPUTS, since_ms):
        for topic in TOPICS:
            seen = {place.partition: offset for place, offset in stands.items() if place.topic == topic}
            file = folder / "topics" / f"{topic}.jsonl.gz"
            found = Imported() if not file.exists() else import_records(settings.kafka, topic, file, made_ms, seen)
            _refuse_others(settings, topic, found)
            imported[topic] = found
    return imported


def _refuse_records(settings: Settings) -> None:
    for state in ensure_topics(settings.kafka):
        if wrong := state.differs.get("partitions"):
            raise BrokerError(f"{wrong[0]} partitions of {state.name}", wrong[1], "restore into a new stack")
    with closing(TopicReader(settings.kafka)) as reader:
        for topic in TOPICS:
            if held := sum(reader.ends(topic).values()):
                raise BrokerError(f"an empty topic {topic}", f"{held} records", "restore into a new stack")


def _refuse_others(settings: Settings, topic: str, imported: Imported) -> None:
    """Where another producer wrote meanwhile, records do not lie where they were counted."""
    with closing(TopicReader(settings.kafka)) as reader:
        found = {place.partition: end for place, end in reader.ends(topic).items() if end}
    if found != imported.ends:
        raise BrokerError(
            f"{imported.records} records in {topic}",
            f"{sum(found.values())}: somebody else writes to it",
            "stop the shop's producers until `liveshelf restore` has returned, and restore into a new stack",
        )


def _moved_savepoint(source: Path, savepoints: Path, imported: dict[str, Imported], stands: Offsets) -> Path:
    """A copy in `savepoints` whose sources go on where what they had not seen lies now. Its metadata comes last: before,
    it is no savepoint."""
    target = savepoints / f"savepoint-restored-{time.time_ns()}"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(METADATA))
    aside = target / f".{METADATA}"
    aside.mkdir()
    shutil.copy(source / METADATA, aside)
    forget_transactions(aside)
    move_offsets(aside, {place: imported[place.topic].stands(place.partition) for place in stands})
    (aside / METADATA).rename(target / METADATA)
    aside.rmdir()
    return target
