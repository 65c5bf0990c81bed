"""`liveshelf restore`: a backup into an empty stack."""

from pathlib import Path

import typer

from operators.settings import load_settings
from pipelines.cli import audit
from pipelines.cli.output import JsonFlag, machine, people


def run(folder: Path = typer.Argument(help="A folder that `liveshelf backup` made."), json: bool = JsonFlag) -> None:
    """Makes the topics, fills them, and starts the job from the savepoint. The stack must be empty.

    Example: liveshelf restore backups/backup-20261124T030000Z
    """
    from pipelines.backup import restore_backup
    from pipelines.cli.submit import submit_locally

    settings = load_settings()
    with people.status("restoring"):
        restored = restore_backup(
            settings, folder.resolve(), lambda s, bundle, savepoint: submit_locally(s, bundle, savepoint=savepoint)
        )
    audit.record(settings, "restore", job_id=restored.job_id, folder=folder.name)
    if json:
        machine({"job_id": restored.job_id, "records": restored.records})
    people.print(f"job {restored.job_id} goes on from {folder}")
