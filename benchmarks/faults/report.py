"""The report of the fault matrix: all its rows, run or not."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.faults.verdict import Verdict

COLUMNS = (
    ("events_missing", "events missing"),
    ("lost", "lost"),
    ("counted_twice", "counted twice"),
    ("phantoms", "phantoms"),
    ("written_twice", "written twice"),
    ("fell", "version fell"),
    ("ends_wrong", "last record wrong"),
    ("mismatched", "states differ"),
    ("scores_differ", "scores differ"),
    ("erased_listed", "erased listed"),
    ("dead_letters_wrong", "dead letters wrong"),
    ("silence_s", "silence s"),
    ("recovery_s", "recovery s"),
    ("flink_restart_s", "Flink restart s"),
    ("restarts", "restarts"),
)
KEPT = {Verdict.KEPT: "yes", Verdict.BROKEN: "NO", Verdict.UNKNOWN: "unknown", Verdict.NOT_RUN: "not run"}


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The recorded rows, the newest of each name and delivery."""
    newest = {}
    for line in file.read_text().splitlines():
        row = json.loads(line)
        newest[row["name"], row.get("delivery")] = row
    return list(newest.values())


def markdown(rows: Iterable[dict[str, Any]], elsewhere: dict[str, str], not_run: dict[str, str], machine: str) -> str:
    """The tables. `elsewhere`: fault -> the test that checks it; `not_run`: fault -> the reason."""
    head = ["fault", "delivery", "seed", "events", *(title for _, title in COLUMNS), "kept", "struck", "note"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        events = f"{row['events']:,}" if row.get("events") is not None else ""
        cells = [row["name"], row.get("delivery", ""), row.get("seed", ""), events]
        cells += [_cell(row, name) for name, _ in COLUMNS]
        reasons = [f"{name} unknown: {reason}" for name, reason in _by_reason(row.get("unknown", {}))]
        note = "; ".join(filter(None, [row.get("note", ""), *reasons]))
        cells += [KEPT[Verdict(row["verdict"])], row.get("struck", ""), note]
        lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    other_rows = [f"| {name} | {test} |" for name, test in elsewhere.items()]
    not_run_rows = [f"| {name} | {reason} |" for name, reason in not_run.items()]
    tail = [
        "",
        "## Checked by other tests",
        "",
        "| fault | test |",
        "|---|---|",
        *other_rows,
        "",
        "## Not run",
        "",
        "| fault | why |",
        "|---|---|",
        *not_run_rows,
        "",
    ]
    return "\n".join([machine, "", *lines, *tail])


def _cell(row: dict[str, Any], name: str) -> object:
    if name in row.get("unknown", {}):
        return "unknown"
    if name == "recovery_s" and row.get("not_fresh_again"):
        return "never"
    return "" if row.get(name) is None else row[name]


def _by_reason(unknown: dict[str, str]) -> list[tuple[str, str]]:
    """Groups the fields by reason."""
    names = dict[str, list[str]]()
    for name, reason in unknown.items():
        names.setdefault(reason, []).append(name)
    return [(", ".join(fields), reason) for reason, fields in names.items()]
