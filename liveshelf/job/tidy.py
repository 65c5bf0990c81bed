"""`liveshelf tidy`: removes leftover state files of dead JobManagers, and on request of earlier jobs."""

import typer

from liveshelf.terminal.output import JsonFlag, machine, people
from operators.settings import load_settings


def run(
    older_than: int = typer.Option(600, help="Minimum age in seconds; younger files stay.", min=0),
    earlier_jobs: bool = typer.Option(
        False, "--earlier-jobs", help="Also remove the checkpoints of the jobs that the running job replaced."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Report the files, and remove nothing."),
    json: bool = JsonFlag,
) -> None:
    """Removes state files that no checkpoint refers to; the job may run. Call it from cron.

    A JobManager that dies leaves up to a whole state behind, which Flink never deletes. Checkpoints and savepoints stay.
    With `--earlier-jobs`, checkpoints of earlier jobs go once the running job has a checkpoint of its own.

    Example: liveshelf tidy --earlier-jobs --dry-run
    """
    from pipelines.local.tidying import find_leftovers
    from pipelines.submission.checkpoints import bytes_of

    leftovers = find_leftovers(load_settings(), older_than, earlier_jobs=earlier_jobs)
    files = leftovers.files()
    size = bytes_of(files)
    if not dry_run:
        leftovers.remove()
    if json:
        answer = {"files": [str(file) for file in files], "jobs": [job.name for job in leftovers.jobs]}
        machine(answer | {"bytes": size, "removed": not dry_run})
    people.print(
        f"{len(files)} state files without use, {len(leftovers.jobs)} earlier jobs, {size / 1e6:.1f} MB"
        f"{'' if dry_run else ': removed'}"
    )
