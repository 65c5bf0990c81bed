"""Progress of a job's sources, by the offsets that it commits with each checkpoint."""

import time
from typing import Any

from kafka import TopicPartition

from operators.errors import BrokerError, ClusterError
from operators.kafka_io.kafka_clients import new_admin
from operators.settings import Settings
from pipelines.submission.cluster import Cluster

STALL_SECONDS = 120.0


def wait_until_read(settings: Settings, job_id: str, ends: dict[TopicPartition, int]) -> None:
    """Waits until a checkpoint of the job covers all records before `ends`, as long as the job makes progress.

    Raises `ClusterError` if the job ends, and `BrokerError` after two minutes without progress.
    """
    cluster, admin = Cluster(settings.job), new_admin(settings.kafka)
    last_remaining, changed_at = -1, time.monotonic()
    try:
        while (remaining := _records_remaining(admin, settings.job.name, ends)) > 0:
            if all(job["jid"] != job_id for job in cluster.jobs()):
                raise ClusterError(
                    f"job {job_id} to read {remaining} more records", "it ended", "liveshelf logs taskmanager-0"
                )
            if remaining != last_remaining:
                last_remaining, changed_at = remaining, time.monotonic()
            elif time.monotonic() > changed_at + STALL_SECONDS:
                raise BrokerError(
                    f"job {job_id} to read the restored records",
                    f"{remaining} are left, and no checkpoint says otherwise for {STALL_SECONDS:.0f} s",
                    "liveshelf status, liveshelf logs taskmanager-0. When it has read them: liveshelf topics create "
                    "--alter, for the topics keep records longer until then",
                )
            time.sleep(0.5)
    finally:
        admin.close()
        cluster.close()


def _records_remaining(admin: Any, group: str, ends: dict[TopicPartition, int]) -> int:
    committed = admin.list_group_offsets([group])[group]
    return sum(
        max(0, end - (committed[partition].offset if partition in committed else 0)) for partition, end in ends.items()
    )
