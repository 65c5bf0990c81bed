"""State files of the local stack that no checkpoint needs."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.layout import Layout
from operators.settings import Settings
from pipelines.submission.checkpoints import files_below, orphans, superseded
from pipelines.submission.cluster import Cluster


@dataclass(frozen=True)
class Leftovers:
    """Files that no checkpoint refers to, and folders of jobs that the running job has replaced."""

    orphans: list[Path]
    jobs: list[Path]

    def files(self) -> list[Path]:
        """The orphans and all files of the jobs, each once."""
        return sorted({*self.orphans, *(file for job in self.jobs for file in files_below(job))})

    def remove(self) -> None:
        """Removes them; ignores files that Flink has deleted meanwhile."""
        for file in self.orphans:
            file.unlink(missing_ok=True)
        for job in self.jobs:
            shutil.rmtree(job, onerror=_raise_unless_missing)


def find_leftovers(settings: Settings, older_than_s: float, *, earlier_jobs: bool) -> Leftovers:
    """Finds leftovers older than `older_than_s`. `earlier_jobs`: include folders of replaced jobs. Raises `ClusterError`."""
    folder, cluster, now = Layout.of(settings).checkpoints, Cluster(settings.job), time.time()
    running = {job["jid"] for job in cluster.jobs()}
    serving = [job["jid"] for job in cluster.jobs(settings.job.name)] if earlier_jobs else []
    jobs = [ended for jid in serving for ended in superseded(folder, jid, running, older_than_s, now)]
    return Leftovers(orphans(folder, running, older_than_s, now), jobs)


def _raise_unless_missing(_: Any, path: str, exc_info: Any) -> None:
    if not isinstance(exc_info[1], FileNotFoundError):
        raise exc_info[1]
