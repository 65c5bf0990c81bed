"""`liveshelf restore`: restores a backup into an empty stack."""

from pathlib import Path

import typer

from liveshelf.terminal.output import JsonFlag, machine, people
from operators.settings import load_settings


def run(
    folder: Path = typer.Argument(help="A folder that `liveshelf backup` made."),
    savepoints: Path = typer.Option(
        None, help="A folder that the cluster reads, for the savepoint; default: the local stack's."
    ),
    json: bool = JsonFlag,
) -> None:
    """Creates and fills the topics, starts the job from the savepoint, and waits until the job has read the rest of the events.

    The stack must be empty, and nothing else may write to it during the restore.

    Example: liveshelf restore backups/backup-20261124T030000Z
    """
    from deploy.local.layout import Layout
    from pipelines.backup.restore import restore_backup
    from pipelines.local.local_submission import submit_locally
    from pipelines.provenance.audit_log import record_act

    settings = load_settings()
    with people.status("restoring"):
        restored = restore_backup(
            settings,
            folder.resolve(),
            (savepoints or Layout.of(settings).savepoints).resolve(),
            lambda s, bundle, savepoint: submit_locally(s, bundle, savepoint=savepoint),
        )
    record_act(settings.kafka, "restore", job_id=restored.job_id, folder=folder.name)
    if json:
        machine({"job_id": restored.job_id, "records": restored.records})
    people.print(f"job {restored.job_id} goes on from {folder}", soft_wrap=True)
