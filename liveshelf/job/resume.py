"""`liveshelf resume`: starts the job from its last state."""

import time
from pathlib import Path

import typer

from liveshelf.terminal.output import JsonFlag, machine, people
from liveshelf.terminal.start_steps import show_refused, show_serving
from operators.settings import load_settings


def run(
    checkpoint: str = typer.Option(None, help="A checkpoint or savepoint; default: the newest that can be read."),
    bundle: Path = typer.Option(None, help="Bundle folder; default: bundle.path of the settings."),
    json: bool = JsonFlag,
) -> None:
    """Starts the job from its newest checkpoint or savepoint; if that cannot be read, from the one before.

    It first cancels a job that restarts again and again; a running job stays untouched. An older checkpoint loses
    nothing: the job reads the events after it again.

    Example: liveshelf resume
    """
    from pipelines.local import resumption

    settings, started_s = load_settings(), time.monotonic()
    for job in resumption.cancel_restarting_job(settings):
        people.print(f"job {job['jid']} is {job['state']}: cancelled")
    resumed = resumption.resume(settings, checkpoint, bundle, show_refused)
    if json:
        machine(resumed._asdict() | {"seconds": time.monotonic() - started_s})
    people.print(f"job {resumed.job_id} goes on from {resumed.checkpoint}", soft_wrap=True)
    show_serving(settings, bundle)
