"""A backup of the whole system in one folder, taken while the job runs, and its way back into an empty stack.

manifest.json   what is in it: counts, sums, the savepoint's offsets, the bundle
savepoint/      Flink's state of all users
bundle/         the model that was served
topics/         compacted topics whole; events from the savepoint's offsets on
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from kafka import TopicPartition

from operators.contracts import AUDIT, CATALOGUE, ERASURES, EVENTS, MODELS, RECOMMENDATIONS
from operators.errors import BrokerError, ClusterError, StackError
from operators.model_bundle import ModelBundle
from operators.settings import Settings
from pipelines.cluster import Cluster
from pipelines.savepoint_offsets import source_offsets
from pipelines.topic_admin import ensure_topics
from pipelines.topic_archive import export_records, import_records
from pipelines.topic_reader import TopicReader

COMPACTED = (CATALOGUE, RECOMMENDATIONS, MODELS, ERASURES, AUDIT)
MANIFEST = "manifest.json"


def take_backup(settings: Settings, root: Path, bundle: Path, keep: int) -> Path:
    """Writes a new folder below `root`, named by the time, and removes all but the newest `keep`; returns it.

    The folder appears whole or not at all. Raises `ClusterError` without a running job, `BrokerError`.
    """
    cluster = Cluster(settings.job)
    jobs = cluster.jobs(settings.job.name)
    if not jobs:
        raise ClusterError(f"a running job named {settings.job.name}", "none", "liveshelf resume")
    folder = root / time.strftime("backup-%Y%m%dT%H%M%SZ", time.gmtime())
    work = root / f".{folder.name}.part"
    shutil.rmtree(work, ignore_errors=True)
    (work / "topics").mkdir(parents=True)
    location = Path(urlparse(cluster.savepoint(jobs[0]["jid"])).path)
    if not location.is_dir():
        raise StackError("a savepoint on this machine", str(location), "run the backup where the savepoints are")
    shutil.move(location, work / "savepoint")
    shutil.copytree(bundle, work / "bundle")
    offsets = source_offsets(work / "savepoint", (EVENTS,), settings.kafka.partitions)
    counts = {}
    with closing(TopicReader(settings.kafka)) as reader:
        for topic in (*COMPACTED, EVENTS):
            start = offsets if topic == EVENTS else {}
            counts[topic] = export_records(reader.read(topic, start), work / "topics" / f"{topic}.jsonl.gz")
    described = ModelBundle.load(bundle)
    manifest = {
        "made_at": int(time.time()),
        "job": settings.job.name,
        "delivery": settings.job.delivery,
        "partitions": settings.kafka.partitions,
        "bundle": [described.name, described.version],
        "offsets": {str(place.partition): offset for place, offset in offsets.items()},
        "records": counts,
        "files": _sums(work),
    }
    (work / MANIFEST).write_text(json.dumps(manifest, indent=1))
    work.rename(folder)
    for old in sorted(root.glob("backup-*"))[:-keep]:
        shutil.rmtree(old)
    return folder


@dataclass(frozen=True)
class Restored:
    """What came back."""

    job_id: str
    records: dict[str, int]


def restore_backup(settings: Settings, folder: Path, submit: Callable[[Settings, Path, str], str]) -> Restored:
    """Fills the topics of an empty stack and starts the job from the savepoint with `submit(settings, bundle, savepoint)`.

    Raises `StackError` for a damaged backup, `BrokerError` where the stack is not empty.
    """
    manifest = read_manifest(folder)
    if manifest["partitions"] != settings.kafka.partitions:
        raise BrokerError(
            f"kafka.partitions = {manifest['partitions']}, as in the backup",
            str(settings.kafka.partitions),
            "set it for the restore: users keep their partition",
        )
    ensure_topics(settings.kafka)
    with closing(TopicReader(settings.kafka)) as reader:
        for topic in (*COMPACTED, EVENTS):
            if held := sum(reader.ends(topic).values()):
                raise BrokerError(f"an empty topic {topic}", f"{held} records", "restore into a new stack")
    counts = {}
    for topic in (*COMPACTED, EVENTS):
        starts = _starts(manifest, folder) if topic == EVENTS else None
        counts[topic] = import_records(settings.kafka, topic, folder / "topics" / f"{topic}.jsonl.gz", starts)
    # where a partition's offset in the state lies beyond the end of the new topic, the source begins at its first record
    skipping = settings.model_copy(update={"job": settings.job.model_copy(update={"on_lost_events": "skip"})})
    return Restored(submit(skipping, folder / "bundle", (folder / "savepoint").as_uri()), counts)


def _starts(manifest: dict[str, Any], folder: Path) -> dict[TopicPartition, int]:
    """The offsets at which the events of the backup must lie again.

    The state goes on reading at the offset it had. A new topic begins at 0: where it holds fewer records than that
    offset, the source finds the offset out of range and begins at the first; elsewhere the places before are filled.
    """
    from pipelines.topic_archive import read_archive

    held: dict[int, int] = {}
    for record in read_archive(folder / "topics" / f"{EVENTS}.jsonl.gz"):
        held[record.partition] = held.get(record.partition, 0) + 1
    offsets = {int(number): offset for number, offset in manifest["offsets"].items()}
    return {TopicPartition(EVENTS, n): offset for n, offset in offsets.items() if offset <= held.get(n, 0)}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a backup whose files are as they were written; raises `StackError`."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise StackError(f"a backup with {MANIFEST} in {folder}", repr(error), "name a folder backup-…") from error
    found = _sums(folder)
    for name, wanted in manifest["files"].items():
        if found.get(name) != wanted:
            raise StackError(f"{name} with the sum of {MANIFEST}", found.get(name, "no file"), "use an older backup")
    return manifest


def _sums(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / MANIFEST)
    return {str(file.relative_to(folder)): _sum(file) for file in files}


def _sum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
