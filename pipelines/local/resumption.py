"""Resumes the job from its newest readable state."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from deploy.local.layout import Layout
from operators.errors import ClusterError
from operators.settings import Settings
from pipelines.local.local_submission import submit_locally
from pipelines.submission.checkpoints import find_checkpoints
from pipelines.submission.cluster import Cluster

MAX_TRIES = 5
OnRefused = Callable[[str, ClusterError], object]


class ResumedJob(NamedTuple):
    """The job, its checkpoint or savepoint, and the newer ones that Flink refused."""

    job_id: str
    checkpoint: str
    refused: list[str]


def cancel_restarting_job(settings: Settings) -> list[dict[str, str]]:
    """Cancels the jobs of this name that restart again and again; returns them. Raises `ClusterError` if one runs."""
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
) -> ResumedJob:
    """Submits from `checkpoint`, or from the newest readable one of the last five. Raises `ClusterError`.

    An older checkpoint loses nothing: the job reads the events after it again. `on_refused` gets each refused checkpoint
    and its error.
    """
    layout = Layout.of(settings)
    candidates = [checkpoint] if checkpoint else _newest_first(layout)
    if not candidates:
        raise ClusterError(
            f"a checkpoint below {layout.checkpoints}",
            "none",
            "name one with --checkpoint, or liveshelf submit --fresh",
        )
    refused: list[str] = []
    last_error: ClusterError | None = None
    for path in candidates[:MAX_TRIES]:
        try:
            return ResumedJob(submit_locally(settings, bundle, savepoint=path), path, refused)
        except ClusterError as error:
            refused.append(path)
            on_refused(path, error)
            last_error = error
    raise ClusterError(
        f"one of the {len(refused)} newest checkpoints to be readable",
        f"none is; the last said: {last_error}",
        "name an older one with --checkpoint, or liveshelf submit --fresh",
    )


def resume_or_submit(settings: Settings, on_refused: OnRefused) -> str:
    """Resumes the job if it has a state, else submits it; returns its id. `on_refused`: as in `resume`."""
    if _newest_first(Layout.of(settings)):
        return resume(settings, None, None, on_refused).job_id
    return submit_locally(settings, None)


def _newest_first(layout: Layout) -> list[str]:
    return [str(checkpoint.path) for checkpoint in find_checkpoints(layout.checkpoints, layout.savepoints)]
