"""State files of the local stack that nothing needs any more."""

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
    """Files that no checkpoint names, and the folders of jobs from which the running one has taken over."""

    orphans: list[Path]
    jobs: list[Path]

    def files(self) -> list[Path]:
        """All of them, each once, those of the jobs included."""
        return sorted({*self.orphans, *(file for job in self.jobs for file in files_below(job))})

    def remove(self) -> None:
        """Removes them; what Flink has deleted meanwhile is gone."""
        for file in self.orphans:
            file.unlink(missing_ok=True)
        for job in self.jobs:
            shutil.rmtree(job, onerror=_unless_gone)


def find_leftovers(settings: Settings, older_than_s: float, *, earlier_jobs: bool) -> Leftovers:
    """What is older than `older_than_s`; `earlier_jobs`: with the checkpoints of jobs that a running one has replaced.

    Raises `ClusterError`.
    """
    folder, cluster, now = Layout.of(settings).checkpoints, Cluster(settings.job), time.time()
    running = {job["jid"] for job in cluster.jobs()}
    serving = [job["jid"] for job in cluster.jobs(settings.job.name)] if earlier_jobs else []
    jobs = [ended for jid in serving for ended in superseded(folder, jid, running, older_than_s, now)]
    return Leftovers(orphans(folder, running, older_than_s, now), jobs)


def _unless_gone(_: Any, path: str, failed: Any) -> None:
    if not isinstance(failed[1], FileNotFoundError):
        raise failed[1]
