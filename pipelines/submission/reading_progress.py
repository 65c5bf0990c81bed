"""How far a job has read its topics, by the offsets that it commits with each checkpoint."""

import time
from typing import Any

from kafka import TopicPartition

from operators.errors import BrokerError, ClusterError
from operators.kafka_io.kafka_clients import new_admin
from operators.settings import Settings
from pipelines.submission.cluster import Cluster

STALL_SECONDS = 120.0


def wait_until_read(settings: Settings, job_id: str, ends: dict[TopicPartition, int]) -> None:
    """Returns when a checkpoint of the job holds all before `ends`.

    A long way is waited for as long as it gets shorter. Raises `ClusterError` where the job ends, and `BrokerError` where
    it stands still for two minutes.
    """
    cluster, admin = Cluster(settings.job), new_admin(settings.kafka)
    before, since = -1, time.monotonic()
    try:
        while (left := _left(admin, settings.job.name, ends)) > 0:
            if all(job["jid"] != job_id for job in cluster.jobs()):
                raise ClusterError(
                    f"job {job_id} to read {left} more records", "it ended", "liveshelf logs taskmanager-0"
                )
            if left != before:
                before, since = left, time.monotonic()
            elif time.monotonic() > since + STALL_SECONDS:
                raise BrokerError(
                    f"job {job_id} to read the restored records",
                    f"{left} are left, and no checkpoint says otherwise for {STALL_SECONDS:.0f} s",
                    "liveshelf status, liveshelf logs taskmanager-0. When it has read them: liveshelf topics create "
                    "--alter, for the topics keep records longer until then",
                )
            time.sleep(0.5)
    finally:
        admin.close()
        cluster.close()


def _left(admin: Any, group: str, ends: dict[TopicPartition, int]) -> int:
    known = admin.list_group_offsets([group])[group]
    return sum(max(0, end - (known[place].offset if place in known else 0)) for place, end in ends.items())
