"""A backup of the whole system in one folder, taken while the job runs (`pipelines.backup.restore` is the way back).

manifest.json   what is in it: counts, sums, where the state stands, the bundle
savepoint/      Flink's state of all users
bundle/         the bundle that the job serves
topics/         the topics; of the events those from where the state stands on
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
from operators.records.contracts import AUDIT, CATALOGUE, EVENTS, RECEIPTS, RECOMMENDATIONS
from operators.records.topic_specs import JOB_INPUTS
from operators.settings import Settings
from pipelines.backup.backup_folder import new_backup, rotate, seal
from pipelines.submission.cluster import Cluster
from pipelines.submission.savepoint_offsets import source_offsets
from pipelines.submission.served_bundle import find_bundle, served_bundle
from pipelines.topics.topic_archive import export_records
from pipelines.topics.topic_reader import TopicReader

# the inputs last, and of them the erasures: what a topic before them says too much, they put right after a restore
TOPICS = (CATALOGUE, RECOMMENDATIONS, RECEIPTS, AUDIT, *JOB_INPUTS)


def take_backup(settings: Settings, root: Path, bundle: Path | None, keep: int) -> Path:
    """Writes a new folder below `root`, named by the time, and removes all but the newest `keep` of this job; returns it.

    The folder appears whole or not at all. The bundle is that which the running job says it serves; `bundle`: where it
    may lie, if it is no longer where it was submitted from. Raises `ClusterError` without a running job, `BundleError`
    where its bundle is not to be found, `BrokerError`, `StackError`.
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
    with new_backup(root) as (work, folder):
        _fetch_savepoint(cluster, job_id, work / "savepoint")
        BundleFiles(source).copy(work / "bundle")
        find_bundle(served, [work / "bundle"])  # it may have been exchanged meanwhile
        offsets = source_offsets(work / "savepoint", JOB_INPUTS, settings.kafka.partitions)
        counts = _export(settings, offsets, work / "topics")
        manifest = read_manifest(work / "bundle")
        facts = {
            "made_at": int(time.time()),
            "job": settings.job.name,
            "delivery": settings.job.delivery,
            "partitions": settings.kafka.partitions,
            "bundle": [manifest["name"], manifest["version"]],
            "offsets": {f"{place.topic}-{place.partition}": offset for place, offset in offsets.items()},
            "records": counts,
        }
        seal(work, folder, facts)
        rotate(root, folder, settings.job.name, keep)
    return folder


def _fetch_savepoint(cluster: Cluster, job_id: str, target: Path) -> None:
    """Takes a savepoint and moves it to `target`; where that fails nothing of it stays behind."""
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
    """Topic -> number of records. The erasures whole, as their topic is kept whole; which of them the state knows, their
    offsets say."""
    folder.mkdir()
    counts = {}
    events = {place.partition: offset for place, offset in offsets.items() if place.topic == EVENTS}
    if settings.job.delivery == "exactly-once":
        # a list that the state believes written can be read only when its transaction ends, and no other broker can
        # end it
        with closing(TopicReader(settings.kafka)) as reader:
            reader.wait_until_committed((RECOMMENDATIONS, RECEIPTS))
    for topic in TOPICS:
        with closing(TopicRange(settings.kafka, topic, after=events if topic == EVENTS else None)) as records:
            counts[topic] = export_records(records, folder / f"{topic}.jsonl.gz")
    return counts
