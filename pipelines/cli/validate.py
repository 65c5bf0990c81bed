"""`liveshelf validate`: a shop's own events, before they are published."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from operators.settings import load_settings
from pipelines.cli.output import JsonFlag, machine, people, table


def run(events: Path = typer.Argument(help="JSON lines of canonical events."), json: bool = JsonFlag) -> None:
    """Counts events by type and lists what would become a dead letter. Exit 1 when a line is bad.

    Example: liveshelf validate events.jsonl
    """
    from operators.errors import EventsFileError
    from operators.event_file_report import report

    if not events.is_file():
        raise EventsFileError("a file of JSON lines", f"no file {events}", "name an existing file")
    found = report(events, load_settings().events)
    span = [
        datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in (found.first_ms, found.last_ms) if ms is not None
    ]
    summary = {
        "lines": found.lines,
        "valid": found.valid,
        "would be dead letters": found.bad.total(),
        "users": len(found.users),
        "users without history": len(found.users - found.users_with_history),
        "items": len(found.items),
        "repeated event ids": found.repeated_ids,
        "out of time order": found.out_of_order,
        "from": span[0] if span else None,
        "to": span[-1] if span else None,
    }
    if json:
        machine(summary | {"types": found.types, "reasons": found.bad, "bad_lines": found.bad_lines})
    else:
        table("", ("", ""), [*summary.items()])
        table("events by type", ("type", "count"), found.types.most_common())
        if found.bad_lines:
            table("bad lines", ("line", "reason", "came"), found.bad_lines)
        people.print("all lines are valid" if not found.bad else "the lines above would become dead letters")
    raise typer.Exit(1 if found.bad else 0)
