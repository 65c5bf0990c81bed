"""`liveshelf backup`: everything in one folder, while the job runs."""

from pathlib import Path

import typer

from operators.settings import load_settings
from pipelines.cli.output import JsonFlag, machine, people


def run(
    root: Path = typer.Argument(help="Where backups lie; each is a folder named by its time."),
    keep: int = typer.Option(7, min=1, help="Older ones are removed."),
    bundle: Path = typer.Option(None, help="The bundle that is served; default: bundle.path of the settings."),
    json: bool = JsonFlag,
) -> None:
    """Saves the state of all users (a savepoint), the compacted topics, the events since, and the bundle.

    For a schedule call it from cron or a timer.

    Example: liveshelf backup backups --keep 7
    """
    from pipelines.backup import read_manifest, take_backup

    settings = load_settings()
    with people.status("saving"):
        folder = take_backup(settings, root, bundle or settings.resolve(settings.bundle.path), keep)
    records = read_manifest(folder)["records"]
    if json:
        machine({"folder": str(folder), "records": records})
    people.print(f"{folder}: " + ", ".join(f"{count} of {topic}" for topic, count in records.items()), soft_wrap=True)
