"""`liveshelf backup`: saves everything into one folder while the job runs."""

from pathlib import Path

import typer

from liveshelf.terminal.output import JsonFlag, machine, people
from operators.settings import load_settings


def run(
    root: Path = typer.Argument(help="Folder of the backups; each backup is a folder in it, named by its time."),
    keep: int = typer.Option(7, min=1, help="Older backups of this job are removed."),
    bundle: Path = typer.Option(
        None,
        help="Folder of the served bundle; default: the one it was submitted from, bundle.path, an earlier backup.",
    ),
    json: bool = JsonFlag,
) -> None:
    """Saves the state of all users (a savepoint), the topics, the events after the savepoint, and the served bundle.

    Call it from cron or a timer.

    Example: liveshelf backup backups --keep 7
    """
    from pipelines.backup.backup import take_backup
    from pipelines.backup.backup_folder import read_manifest
    from pipelines.provenance.audit_log import record_act

    settings = load_settings()
    with people.status("saving"):
        folder = take_backup(settings, root.resolve(), bundle, keep)
    manifest = read_manifest(folder)
    record_act(settings.kafka, "backup", folder=folder.name, bundle=" ".join(manifest["bundle"]))
    if json:
        machine({"folder": str(folder), "records": manifest["records"]})
    counts = ", ".join(f"{count} of {topic}" for topic, count in manifest["records"].items())
    people.print(f"{folder}: {counts}", soft_wrap=True)
