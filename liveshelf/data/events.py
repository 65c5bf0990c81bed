"""`liveshelf events`: the events topic into a file for training."""

from pathlib import Path

import typer

from liveshelf.terminal.numbers import ABOVE_0, TEN_YEARS_H, real
from liveshelf.terminal.out_files import check_out
from liveshelf.terminal.output import JsonFlag, machine, people
from operators.settings import load_settings


def run(
    out: Path = typer.Option(..., help="File of JSON lines."),
    hours: float = real(None, "Only the last hours; default: the whole topic.", min=ABOVE_0, max=TEN_YEARS_H),
    json: bool = JsonFlag,
) -> None:
    """Writes the valid events of the topic, and their offsets into FILE.origin.json.

    Example: liveshelf events --out events.jsonl --hours 168
    """
    from pipelines.topics.event_export import ORIGIN, export_events

    check_out(out, "export", lambda file: file.with_name(file.name + ORIGIN).is_file())
    with people.status("reading the topic"):
        export = export_events(load_settings(), out, hours)
    if json:
        machine({"events": export.events, "refused": export.refused, "offsets": export.offsets})
    people.print(f"{export.events:,} events in {out}, {export.refused:,} records left out that the job refuses as well")
