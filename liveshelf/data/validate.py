"""`liveshelf validate`: checks a shop's own events and catalogue before they are published."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liveshelf.terminal.out_files import begins, check_out
from liveshelf.terminal.output import JsonFlag, machine, people, table
from operators.settings import load_settings

if TYPE_CHECKING:
    from operators.quality.catalogue_file_report import CatalogueFileReport
    from operators.quality.event_file_report import EventFileReport
    from operators.records.record_file import RecordFile

TABLES = ("types", "reasons", "bad_lines", "repaired", "without effect", "remarks")  # of an account


def run(
    events: Path = typer.Argument(None, help="JSON lines of canonical events."),
    catalogue: Path = typer.Option(None, help="JSON lines of catalogue records."),
    fix: Path = typer.Option(None, help="File of JSON lines: the valid events, each in the documented form."),
    rejects: Path = typer.Option(None, help="With --fix. File of JSON lines: the bad lines, with the reasons."),
    json: bool = JsonFlag,
) -> None:
    """Counts records; lists records that the job would refuse or repair, and fields without effect.

    Exit 1 when a line is bad.
    Example: liveshelf validate events.jsonl --catalogue catalogue.jsonl
    """
    from operators.quality import catalogue_file_report

    if events is None and catalogue is None:
        raise typer.BadParameter("name a file of events, or a --catalogue")
    if (fix is None) != (rejects is None) or (fix is not None and events is None):
        raise typer.BadParameter("--fix and --rejects go together, with a file of events: no line is lost")
    summaries: list[dict[str, Any]] = []
    items: set[str] = set()
    if events is not None:
        event_report = _event_report(events, fix, rejects)
        items = set(event_report.items)
        summaries.append(_event_summary(event_report))
    if catalogue is not None:
        catalogue_report = catalogue_file_report.report(catalogue, load_settings().events)
        summaries.append(
            _catalogue_summary(catalogue_report, catalogue_file_report.apart(items, catalogue_report.items))
        )
    if json:
        machine(summaries[0] | ({"catalogue": summaries[1]} if len(summaries) > 1 else {}))
    else:
        for summary in summaries:
            _show(summary)
    raise typer.Exit(1 if any(summary["reasons"] for summary in summaries) else 0)


def _event_report(events: Path, fix: Path | None, rejects: Path | None) -> "EventFileReport":
    from operators.adapters.rejected_records import rejected_line
    from operators.quality.event_file_report import report
    from operators.records.contracts import encode_record
    from pipelines.topics.whole_file import whole_file

    limits = load_settings().events
    if fix is None or rejects is None:
        return report(events, limits)
    check_out(fix, "file of this verb", lambda earlier: False)
    check_out(rejects, "file of rejects", begins(b'{"line":'))
    with whole_file(fix) as good, whole_file(rejects) as rest:
        return report(
            events,
            limits,
            lambda event: good.write(encode_record(event) + b"\n"),
            lambda number, line, bad: rest.write(rejected_line(number, bad, line.decode("utf-8", "backslashreplace"))),
        )


def _event_summary(report: "EventFileReport") -> dict[str, Any]:
    span = [
        datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in (report.first_ms, report.last_ms) if ms is not None
    ]
    return {
        **_file_summary(report.file),
        "users": len(report.users),
        "users without history": len(report.users.keys() - report.users_with_history),
        "items": len(report.items),
        "repeated event ids": report.repeated_ids,
        "out of time order": report.out_of_order,
        "from": span[0] if span else None,
        "to": span[-1] if span else None,
        "types": report.types,
        "without effect": {
            name: "; ".join(text for field, text in report.without_effect if field == name)
            for name, _ in report.without_effect
        },
        "remarks": report.remarks(),
    }


def _catalogue_summary(report: "CatalogueFileReport", mismatch: str) -> dict[str, Any]:
    from operators.records.field_names import left_out

    return {
        **_file_summary(report.file),
        "items": len(report.items),
        "repeated items": report.repeated,
        "without title": report.without_title,
        "without price": report.without_price,
        "out of stock": report.out_of_stock,
        "remarks": [*([mismatch] if mismatch else []), *left_out(report.unknown_fields)],
    }


def _file_summary(file: "RecordFile[Any]") -> dict[str, Any]:
    return {
        "lines": file.good + file.bad.total() + file.blank,
        "blank lines": file.blank,
        "valid": file.good,
        "would be dead letters": file.bad.total(),
        "reasons": file.bad,
        "bad_lines": file.bad_lines,
        "repaired": file.repaired,
    }


def _show(summary: dict[str, Any]) -> None:
    table("", ("", ""), [pair for pair in summary.items() if pair[0] not in TABLES])
    if "types" in summary:
        table("events by type", ("type", "count"), summary["types"].most_common())
    if summary["repaired"]:
        table("repaired", ("field", "records"), summary["repaired"].most_common())
    if effects := summary.get("without effect"):  # of events alone
        table("little or no effect", ("field", "effect"), [*effects.items()])
    if summary["bad_lines"]:
        table("bad lines", ("line", "reason", "came"), summary["bad_lines"])
    for remark in summary["remarks"]:
        people.print(f"look: {remark}")
    people.print("the lines above would become dead letters" if summary["reasons"] else "all lines are valid")
