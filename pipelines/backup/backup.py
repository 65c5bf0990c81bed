"""A backup of the whole system in one folder, taken while the job runs; see also `pipelines.backup.restore`.

manifest.json   record counts, checksums, source offsets of the savepoint, name and version of the bundle
savepoint/      Flink's state of all users
bundle/         the bundle that the job serves
topics/         the records of the topics; of the events those after the savepoint's offsets
"""

import shutil
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlparse

from kafka import TopicPartition

from operators.errors import ClusterError, StackError
from operators.kafka_io.read_to_end import TopicRange
from operators.model.bundle_files import BundleFiles, read_manifest
from operators.records.contracts import (
    AUDIT,
    CATALOGUE,
    EVENTS,
    EXAMPLES,
    EXPERIMENTS,
    ITEMS,
    RECEIPTS,
    RECOMMENDATIONS,
)
from operators.records.topic_specs import JOB_INPUTS
from operators.settings import Settings
from pipelines.backup.backup_folder import new_backup, rotate, seal
from pipelines.submission.cluster import Cluster
from pipelines.submission.savepoint_offsets import source_offsets
from pipelines.submission.served_bundle import find_bundle, served_bundle
from pipelines.topics.topic_archive import export_records
from pipelines.topics.topic_reader import TopicReader

# The inputs are exported last: a restore then erases again each user who was erased during the backup.
TOPICS = (CATALOGUE, RECOMMENDATIONS, RECEIPTS, EXAMPLES, ITEMS, EXPERIMENTS, AUDIT, *JOB_INPUTS)


def take_backup(settings: Settings, root: Path, bundle: Path | None, keep: int) -> Path:
    """Writes a new folder below `root`, named by the time; returns it. Keeps the newest `keep` backups of this job.

    The folder appears complete or not at all. It holds the bundle that the running job serves. `bundle`: its folder, if
    it has moved since the submission. Raises `ClusterError` without a running job, `BundleError` if no folder holds the
    job's bundle, `BrokerError`, `StackError`.
    """
    cluster = Cluster(settings.job)
    jobs = cluster.jobs(settings.job.name)
    if not jobs:
        raise ClusterError(f"a running job named {settings.job.name}", "none", "liveshelf resume")
    job_id = str(jobs[0]["jid"])
    served = served_bundle(cluster, job_id)
    earlier = sorted(root.glob("backup-*/bundle"), reverse=True)
    source = find_bundle(
        served, [bundle] if bundle else [served.folder, settings.resolve(settings.bundle.path), *earlier]
    )
    with new_backup(root) as (part_folder, folder):
        _fetch_savepoint(cluster, job_id, part_folder / "savepoint")
        BundleFiles(source).copy(part_folder / "bundle")
        find_bundle(served, [part_folder / "bundle"])  # the folder may have changed during the copy
        offsets = source_offsets(part_folder / "savepoint", JOB_INPUTS, settings.kafka.partitions)
        counts = _export(settings, offsets, part_folder / "topics")
        manifest = read_manifest(part_folder / "bundle")
        facts = {
            "made_at": int(time.time()),
            "job": settings.job.name,
            "delivery": settings.job.delivery,
            "partitions": settings.kafka.partitions,
            "bundle": [manifest["name"], manifest["version"]],
            "offsets": {f"{partition.topic}-{partition.partition}": offset for partition, offset in offsets.items()},
            "records": counts,
        }
        seal(part_folder, folder, facts)
        rotate(root, folder, settings.job.name, keep)
    return folder


def _fetch_savepoint(cluster: Cluster, job_id: str, target: Path) -> None:
    """Takes a savepoint and moves it to `target`; removes it when the move fails."""
    location = cluster.savepoint(job_id)
    folder = Path(urlparse(location).path)
    if not folder.is_dir():
        cluster.dispose_savepoint(location)
        raise StackError("a savepoint on this machine", location, "run the backup where the savepoints are")
    try:
        shutil.move(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _export(settings: Settings, offsets: dict[TopicPartition, int], folder: Path) -> dict[str, int]:
    """Writes a file for each topic; returns topic -> number of records.

    Erasures are exported from the beginning; the savepoint's offsets tell which of them the state has seen.
    """
    folder.mkdir()
    counts = {}
    events = {partition.partition: offset for partition, offset in offsets.items() if partition.topic == EVENTS}
    in_transactions = (RECOMMENDATIONS, RECEIPTS) if settings.job.delivery == "exactly-once" else ()
    if settings.feedback.enabled:
        in_transactions = (*in_transactions, EXAMPLES)
    if in_transactions:
        # The state counts records in an open transaction as written. They are readable only after its end, and no other
        # broker can end it.
        with closing(TopicReader(settings.kafka)) as reader:
            reader.wait_until_committed(in_transactions)
    switches = {EXAMPLES: settings.feedback.enabled, ITEMS: settings.demand.enabled}
    for topic in TOPICS:
        if not switches.get(topic, True):
            continue
        with closing(TopicRange(settings.kafka, topic, after=events if topic == EVENTS else None)) as records:
            counts[topic] = export_records(records, folder / f"{topic}.jsonl.gz")
    return counts
