"""`liveshelf tidy`: takes away what dead JobManagers, and on request what earlier jobs, left among the checkpoints."""

import shutil
import time
from typing import Any

import typer

from liveshelf.terminal.output import JsonFlag, machine, people
from operators.settings import load_settings


def run(
    older_than: int = typer.Option(600, help="Seconds; younger files stay.", min=0),
    earlier_jobs: bool = typer.Option(
        False, "--earlier-jobs", help="Also the checkpoints of jobs from which the running one has taken over."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Says what it would remove."),
    json: bool = JsonFlag,
) -> None:
    """Removes state files that no checkpoint names; the job may run. Call it from cron.

    Each death of a JobManager leaves up to a whole state behind, which Flink never deletes. Checkpoints and savepoints stay,
    unless earlier jobs' are named; of those only the ones that a running job's own checkpoint has replaced.

    Example: liveshelf tidy --earlier-jobs --dry-run
    """
    from deploy.local.layout import Layout
    from pipelines.submission.checkpoints import bytes_of, files_below, orphans, superseded
    from pipelines.submission.cluster import Cluster

    settings = load_settings()
    folder, cluster, now = Layout.of(settings).checkpoints, Cluster(settings.job), time.time()
    running = {job["jid"] for job in cluster.jobs()}
    serving = [job["jid"] for job in cluster.jobs(settings.job.name)] if earlier_jobs else []
    jobs = [one for jid in serving for one in superseded(folder, jid, running, older_than, now)]
    found = orphans(folder, running, older_than, now)
    files = sorted({*found, *(file for job in jobs for file in files_below(job))})
    size = bytes_of(files)
    if not dry_run:
        for file in found:
            file.unlink(missing_ok=True)
        for job in jobs:
            shutil.rmtree(job, onerror=_unless_gone)
    if json:
        told = {"files": [str(file) for file in files], "jobs": [job.name for job in jobs]}
        machine(told | {"bytes": size, "removed": not dry_run})
    people.print(
        f"{len(files)} state files without use, {len(jobs)} earlier jobs, {size / 1e6:.1f} MB"
        f"{'' if dry_run else ': removed'}"
    )


def _unless_gone(_: Any, path: str, failed: Any) -> None:
    """Flink may delete the same files."""
    if not isinstance(failed[1], FileNotFoundError):
        raise failed[1]
