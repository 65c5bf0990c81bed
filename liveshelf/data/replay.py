"""`liveshelf replay`: publishes a file of events at a rate or a speed-up."""

from pathlib import Path

import typer

from liveshelf.terminal.numbers import ABOVE_0, real
from liveshelf.terminal.output import JsonFlag, machine, people
from operators.settings import load_settings


def run(
    events: Path = typer.Argument(help="JSON lines of canonical events."),
    rate: float = real(None, "Events a second; without rate and speed-up as fast as possible.", min=ABOVE_0),
    speedup: float = real(None, "Divides the original gaps between events.", min=ABOVE_0),
    catalogue: Path = typer.Option(None, help="JSON lines of catalogue records, published first."),
    limit: int = typer.Option(None, help="Maximum number of events.", min=1, max=10**12),
    keep_times: bool = typer.Option(False, help="Keep event_time; default: set it to the time when the event was due."),
    json: bool = JsonFlag,
) -> None:
    """Publishes events open loop, each when it is due. Unreadable lines are skipped and counted.

    The job drops an event whose event_id is among the user's last 24 events.

    Example: liveshelf replay events.jsonl --rate 500
    """
    from pipelines.local.file_replay import replay_files
    from pipelines.topics.replayer import ReplayRate

    if rate and speedup:
        raise typer.BadParameter("give --rate or --speedup, not both")
    with people.status("publishing") as spinner:
        result = replay_files(
            load_settings(),
            events,
            catalogue,
            ReplayRate(rate, speedup),
            limit=limit,
            keep_times=keep_times,
            on_catalogue=lambda count: people.print(f"{count} catalogue records published"),
            on_progress=lambda progress: spinner.update(f"{progress.sent} events"),
        )
    progress, duplicates = result.progress, result.known_already
    for line in result.left_out:
        people.print(line)
    if json:
        counts = {"sent": progress.sent, "failed": progress.failed, "left_out": result.events.bad.total()}
        machine(counts | {"seconds": result.seconds, "late_s": progress.late_s, "known_already": duplicates})
    people.print(
        f"{progress.sent} events published in {result.seconds:.1f} s, {progress.failed} failed, "
        f"at most {progress.late_s * 1000:.0f} ms behind schedule"
    )
    if duplicates:
        people.print(f"{duplicates} of them changed nothing: the job has seen their event_id before")
    raise typer.Exit(1 if progress.failed or not progress.sent else 0)
