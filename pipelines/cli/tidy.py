"""`liveshelf tidy`: takes away what dead JobManagers left among the checkpoints."""

import time

import typer

from operators.settings import load_settings
from pipelines.cli.output import JsonFlag, machine, people


def run(
    older_than: int = typer.Option(600, help="Seconds; younger files stay.", min=0),
    dry_run: bool = typer.Option(False, "--dry-run", help="Says what it would remove."),
    json: bool = JsonFlag,
) -> None:
    """Removes state files that no checkpoint names; the job may run. Call it from cron.

    Each death of a JobManager leaves up to a whole state behind, which Flink never deletes. Checkpoints and savepoints stay.

    Example: liveshelf tidy --dry-run
    """
    from deploy.local.layout import Layout
    from pipelines.checkpoints import orphans
    from pipelines.cluster import Cluster

    settings = load_settings()
    running = {job["jid"] for job in Cluster(settings.job.rest_url).jobs()}
    found = orphans(Layout.of(settings).checkpoints, running, older_than, time.time())
    size = sum(file.stat().st_size for file in found)
    if not dry_run:
        for file in found:
            file.unlink(missing_ok=True)
    if json:
        machine({"files": [str(file) for file in found], "bytes": size, "removed": not dry_run})
    people.print(f"{len(found)} state files without a checkpoint, {size / 1e6:.1f} MB{'' if dry_run else ': removed'}")
