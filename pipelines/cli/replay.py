"""`liveshelf replay`: publishes a file of events at a rate or a speed-up."""

from pathlib import Path

import typer

from operators.settings import load_settings
from pipelines.cli.numbers import ABOVE_0, real
from pipelines.cli.output import JsonFlag, machine, people


def run(
    events: Path = typer.Argument(help="JSON lines of canonical events."),
    rate: float = real(None, "Events a second; without rate and speed-up as fast as it goes.", min=ABOVE_0),
    speedup: float = real(None, "The original gaps divided by this.", min=ABOVE_0),
    catalogue: Path = typer.Option(None, help="JSON lines of catalogue records, published first."),
    limit: int = typer.Option(None, help="At most so many events.", min=1, max=10**12),
    keep_times: bool = typer.Option(False, help="Keep event_time; else it becomes the time at which it was due."),
    json: bool = JsonFlag,
) -> None:
    """Publishes events open loop, each when it is due. Lines that cannot be read are left out, and counted.

    The job takes an event_id once: of a user's last 24 events it knows them, and leaves out what comes again.

    Example: liveshelf replay events.jsonl --rate 500
    """
    import time
    from itertools import islice

    from deploy.local.layout import Layout
    from operators.broker_errors import is_final
    from operators.kafka_clients import broker_errors, new_producer
    from operators.record_file import catalogue_file, event_file
    from pipelines.replay_effect import ReplayEffect
    from pipelines.replayer import Pace, Progress, publish_catalogue, replay

    if rate and speedup:
        raise typer.BadParameter("give --rate or --speedup, not both")
    settings = load_settings()
    progress, begun = Progress(), time.monotonic()
    chosen, items = (
        event_file(events, settings.events),
        catalogue_file(catalogue, settings.events) if catalogue else None,
    )
    producer = new_producer(settings.kafka)
    effect = ReplayEffect(Layout.of(settings).targets)
    with broker_errors(settings.kafka), people.status("publishing") as spinner:
        if items is not None:
            people.print(f"{publish_catalogue(items, producer)} catalogue records published")

        def tick() -> None:
            spinner.update(f"{progress.sent} events")

        replay(
            islice(chosen, limit), Pace(rate, speedup), producer, keep_times=keep_times, progress=progress, tick=tick
        )
        if progress.failure is not None and is_final(progress.failure):
            raise progress.failure
    producer.close()
    seconds = time.monotonic() - begun
    known = effect.known_already(progress.sent)
    for file in (items, chosen):
        if file is not None and file.bad:
            people.print(file.left_out())
    if json:
        counts = {"sent": progress.sent, "failed": progress.failed, "left_out": chosen.bad.total()}
        machine(counts | {"seconds": seconds, "late_s": progress.late_s, "known_already": known})
    people.print(
        f"{progress.sent} events published in {seconds:.1f} s, {progress.failed} failed, "
        f"at most {progress.late_s * 1000:.0f} ms behind schedule"
    )
    if known:
        people.print(f"{known} of them changed nothing: the job has seen their event_id before")
    raise typer.Exit(1 if progress.failed or not progress.sent else 0)
