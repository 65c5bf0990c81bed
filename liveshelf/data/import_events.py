"""`liveshelf import`: a shop's own export as a file of events."""

import json as json_text
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liveshelf.data.import_options import FileOptions, choices_of
from liveshelf.terminal.option_groups import with_groups
from liveshelf.terminal.out_files import begins, check_out
from liveshelf.terminal.output import JsonFlag, machine, people, table
from operators.errors import BadRecord, EventsFileError
from operators.settings import load_settings

if TYPE_CHECKING:
    from operators.adapters.containers.row import Row
    from operators.adapters.import_file import FileImport

COUNTS = ".import.json"  # beside the events: what the import did
TABLES = ("types", "reasons", "unmapped", "unused", "repaired", "examples")  # of an account
MOSTLY = 0.5  # share of rejected events above which this is probably another format


@with_groups
def run(
    options: FileOptions,
    file: Path = typer.Argument(help="JSON lines, a JSON array, CSV, TSV or parquet; may be gzip."),
    source: str = typer.Option(
        ...,
        "--from",
        help="cloudevents, csv, ga4, google-retail, jd-micro, metarank, personalize, rees46, retailrocket, segment or snowplow.",
    ),
    out: Path = typer.Option(..., help="File of JSON lines: the events."),
    rejects: Path = typer.Option(None, help="File of JSON lines: each record left out, with the reason."),
    json: bool = JsonFlag,
) -> None:
    """Writes the events of a file of another system, with their own times, and what it did into OUT.import.json.

    Example: liveshelf import orders.csv --from csv --map item_id=sku,event_time=ts --event-type purchase --out events.jsonl
    """
    from operators.adapters.import_file import FileImport

    choices = choices_of(source, options)
    check_out(out, "import of this verb", lambda earlier: earlier.with_name(earlier.name + COUNTS).is_file())
    check_out(rejects, "file of rejects", begins(b'{"line":'))
    with people.status(f"reading {file.name}"):
        events = FileImport(file, source, choices, load_settings().events)
        _write(events, out, rejects)
    answer = _answer(events, source)
    out.with_name(out.name + COUNTS).write_text(json_text.dumps(answer, indent=1) + "\n")
    if json:
        machine(answer)
    _show(answer, out)


def _write(events: "FileImport", out: Path, rejects: Path | None) -> None:
    """Raises `EventsFileError` for a file without a single event; then neither file is there."""
    from pipelines.topics.whole_file import whole_file

    with ExitStack() as files:
        target = files.enter_context(whole_file(out))
        rest = files.enter_context(whole_file(rejects)) if rejects else None
        for line in events.events(lambda row, bad: rest and rest.write(_rejected(row, bad))):
            target.write(line + b"\n")
        _refuse_none(events)


def _rejected(row: "Row", bad: BadRecord) -> bytes:
    from operators.adapters.rejected_records import rejected_line

    return rejected_line(row.number, bad, row.written or row.record)


def _refuse_none(events: "FileImport") -> None:
    counts, unmapped = events.counts, events.names.unmapped
    if counts.written:
        return
    names = ", ".join(f"{name} ({count})" for name, count in unmapped.most_common(5))
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.reasons.most_common(3))
    first = f"; first in line {counts.examples[0][0]}: {counts.examples[0][2]}" if counts.examples else ""
    raise EventsFileError(
        f"events in {events.file}",
        f"{counts.read} records and none of them; rejected: {reasons or 'none'}{first}; without a type: {names or 'none'}",
        "name the types of these events: --types view=NAME" if unmapped else "see docs/import.md for this format",
    )


def _answer(events: "FileImport", source: str) -> dict[str, Any]:
    counts, decisions = events.counts, events.decisions
    return {
        "format": source,
        "read": counts.read,
        "written": counts.written,
        "rejected": counts.reasons.total(),
        "from": _iso(counts.first_ms),
        "to": _iso(counts.last_ms),
        "time_unit": decisions.unit or "ISO 8601",
        "decimal_mark": decisions.mark,
        "ids_read_as_digits": sorted(decisions.whole),
        "repeated": events.repeated,
        "times_set_to_now": events.decoder.clamped,
        "types": dict(counts.types.most_common()),
        "reasons": dict(counts.reasons.most_common()),
        "unmapped": dict(events.names.unmapped.most_common()),
        "unused": dict(events.names.unused.most_common()) | dict.fromkeys(events.unused_columns, counts.read),
        "repaired": dict(events.decoder.repaired.most_common()),
        "examples": counts.examples,
    }


def _iso(time_ms: int | None) -> str | None:
    return None if time_ms is None else datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


def _show(answer: dict[str, Any], out: Path) -> None:
    table("", ("", ""), [pair for pair in answer.items() if pair[0] not in TABLES])
    for name, columns in (
        ("types", ("type", "events")),
        ("unmapped", ("event name without a type", "records")),
        ("unused", ("field left out", "records")),
        ("reasons", ("rejected: reason", "events")),
        ("repaired", ("read in another form", "events")),
    ):
        if answer[name]:
            table("", columns, [*answer[name].items()])
    if answer["examples"]:
        table("first rejects", ("line", "reason", "what"), answer["examples"])
    if answer["rejected"] > MOSTLY * (answer["rejected"] + answer["written"]):
        people.print("look: more than half is rejected. Is this the right format, and are the columns the right ones?")
    people.print(f"{answer['written']:,} events in {out}")
