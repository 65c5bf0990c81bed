"""`liveshelf tidy`: takes away what dead JobManagers, and on request what earlier jobs, left among the checkpoints."""

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
