"""`liveshelf resume`: the job goes on from its last state."""

import time
from pathlib import Path

import typer

from operators.errors import ClusterError
from operators.settings import load_settings
from pipelines.cli.output import JsonFlag, machine, notice, people

TRIED = 5


def run(
    checkpoint: str = typer.Option(None, help="A checkpoint or savepoint; default: the newest that can be read."),
    bundle: Path = typer.Option(None, help="Bundle folder; default: bundle.path of the settings."),
    json: bool = JsonFlag,
) -> None:
    """Starts the job from its newest checkpoint or savepoint; where that cannot be read, says so and goes one back.

    A job that fails and restarts again and again is cancelled first; one that runs is left alone. Going back loses
    nothing: the events since are read again.

    Example: liveshelf resume
    """
    from deploy.local.layout import Layout
    from pipelines.checkpoints import find_checkpoints
    from pipelines.cli.submit import submit_locally
    from pipelines.cluster import Cluster

    settings = load_settings()
    cluster, layout = Cluster(settings.job), Layout.of(settings)
    for job in cluster.jobs(settings.job.name):
        if job["state"] == "RUNNING" and cluster.running_tasks(job["jid"]):
            raise ClusterError(
                "no running job", f"job {job['jid']} runs", "nothing; `liveshelf status` shows its lists"
            )
        people.print(f"job {job['jid']} is {job['state']}: cancelled")
        cluster.cancel(job["jid"])
    found = (
        [checkpoint] if checkpoint else [str(c.path) for c in find_checkpoints(layout.checkpoints, layout.savepoints)]
    )
    if not found:
        raise ClusterError(
            f"a checkpoint below {layout.checkpoints}",
            "none",
            "name one with --checkpoint, or liveshelf submit --fresh",
        )
    begun, refused = time.monotonic(), []
    for path in found[:TRIED]:
        try:
            job_id = submit_locally(settings, bundle, savepoint=path)
        except ClusterError as error:
            refused.append(path)
            notice(f"{path} cannot be used", "yellow", str(error))
            last = error
            continue
        if json:
            machine({"job_id": job_id, "checkpoint": path, "refused": refused, "seconds": time.monotonic() - begun})
        people.print(f"job {job_id} goes on from {path}", soft_wrap=True)
        return
    raise ClusterError(
        f"one of the {len(refused)} newest checkpoints to be readable",
        f"none is; the last said: {last}",
        "name an older one with --checkpoint, or liveshelf submit --fresh",
    )
