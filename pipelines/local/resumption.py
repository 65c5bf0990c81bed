"""The job goes on from its newest state that can be read."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from deploy.local.layout import Layout
from operators.errors import ClusterError
from operators.settings import Settings
from pipelines.local.local_submission import submit_locally
from pipelines.submission.checkpoints import find_checkpoints
from pipelines.submission.cluster import Cluster

TRIED = 5
OnRefused = Callable[[str, ClusterError], object]


class Resumed(NamedTuple):
    """The job, the checkpoint or savepoint that it went on from, and the newer ones that could not be read."""

    job_id: str
    checkpoint: str
    refused: list[str]


def cancel_restarting_job(settings: Settings) -> list[dict[str, str]]:
    """Cancels a job of this name that restarts again and again, and returns it. Raises `ClusterError` where it runs."""
    cluster, cancelled = Cluster(settings.job), []
    for job in cluster.jobs(settings.job.name):
        if job["state"] == "RUNNING" and cluster.running_tasks(job["jid"]):
            raise ClusterError(
                "no running job", f"job {job['jid']} runs", "nothing; `liveshelf status` shows its lists"
            )
        cluster.cancel(job["jid"])
        cancelled.append(job)
    return cancelled


def resume(
    settings: Settings,
    checkpoint: str | None,
    bundle: Path | None,
    on_refused: OnRefused,
) -> Resumed:
    """Submits from `checkpoint`, or from the newest that can be read: goes back up to five, and loses nothing, because
    the events since are read again. `on_refused` hears of each that cannot be used. Raises `ClusterError`."""
    layout = Layout.of(settings)
    candidates = [checkpoint] if checkpoint else _newest_first(layout)
    if not candidates:
        raise ClusterError(
            f"a checkpoint below {layout.checkpoints}",
            "none",
            "name one with --checkpoint, or liveshelf submit --fresh",
        )
    refused: list[str] = []
    reason: ClusterError | None = None
    for path in candidates[:TRIED]:
        try:
            return Resumed(submit_locally(settings, bundle, savepoint=path), path, refused)
        except ClusterError as error:
            refused.append(path)
            on_refused(path, error)
            reason = error
    raise ClusterError(
        f"one of the {len(refused)} newest checkpoints to be readable",
        f"none is; the last said: {reason}",
        "name an older one with --checkpoint, or liveshelf submit --fresh",
    )


def resume_or_submit(settings: Settings, on_refused: OnRefused) -> str:
    """The job's id: resumed where there is a state, else submitted for the first time. `on_refused` as in `resume`."""
    if _newest_first(Layout.of(settings)):
        return resume(settings, None, None, on_refused).job_id
    return submit_locally(settings, None)


def _newest_first(layout: Layout) -> list[str]:
    return [str(found.path) for found in find_checkpoints(layout.checkpoints, layout.savepoints)]
