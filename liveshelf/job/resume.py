"""`liveshelf resume`: the job goes on from its last state."""

import time
from pathlib import Path

import typer

from liveshelf.terminal.output import JsonFlag, machine, people
from liveshelf.terminal.start_steps import show_refused
from operators.settings import load_settings


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
    from pipelines.local import resumption

    settings, begun = load_settings(), time.monotonic()
    for job in resumption.cancel_restarting_job(settings):
        people.print(f"job {job['jid']} is {job['state']}: cancelled")
    resumed = resumption.resume(settings, checkpoint, bundle, show_refused)
    if json:
        machine(resumed._asdict() | {"seconds": time.monotonic() - begun})
    people.print(f"job {resumed.job_id} goes on from {resumed.checkpoint}", soft_wrap=True)
