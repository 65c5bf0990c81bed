"""The report of the fault matrix: every row that was asked for, run or not."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

COLUMNS = (
    ("lost", "lost"),
    ("counted_twice", "twice"),
    ("written_twice", "written twice"),
    ("fell", "fell"),
    ("mismatched", "states differ"),
    ("scores_differ", "scores differ"),
    ("silence_s", "silence s"),
    ("recovery_s", "fresh again s"),
    ("flink_restart_s", "Flink's restart s"),
    ("restarts", "restarts"),
)
VERDICTS = {True: "yes", False: "NO", None: "not run"}


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows that were recorded, the newest of each name and delivery."""
    newest = {}
    for line in file.read_text().splitlines():
        row = json.loads(line)
        newest[row["name"], row.get("delivery")] = row
    return list(newest.values())


def markdown(rows: Iterable[dict[str, Any]], elsewhere: dict[str, str], not_run: dict[str, str], machine: str) -> str:
    """The tables. `elsewhere`: row -> the test that holds it; `not_run`: row -> why."""
    head = ["fault", "delivery", "seed", "events", *(title for _, title in COLUMNS), "kept", "note"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        events = f"{row['events']:,}" if "events" in row else ""
        cells = [row["name"], row.get("delivery", ""), row.get("seed", ""), events]
        cells += ["" if row.get(name) is None else row[name] for name, _ in COLUMNS]
        cells += [VERDICTS[row["kept"]], row.get("note", "")]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    others = [f"| {name} | {where} |" for name, where in elsewhere.items()]
    missing = [f"| {name} | {why} |" for name, why in not_run.items()]
    tail = ["", "| held by another test | |", "|---|---|", *others, "", "| not run | why |", "|---|---|", *missing, ""]
    return "\n".join([machine, "", *lines, *tail])
