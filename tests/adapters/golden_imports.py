"""Golden imports: for each folder of `golden/` a source as its system exports it, and what an import makes of it.

`python -m tests.adapters.golden_imports` writes the expected files anew; read the difference before you commit it.
"""

import json
from pathlib import Path
from typing import Any

from operators.adapters.import_file import FileImport, ImportChoices
from operators.adapters.registry import FORMATS, TableMap
from operators.adapters.rejected_records import rejected_line
from operators.configuration.shop_settings import EventSettings

FOLDER = Path(__file__).parent / "golden"
FOLDERS = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())


def imported(name: str) -> dict[str, bytes]:
    """The name of each expected file and its contents."""
    folder = FOLDER / name
    chosen = json.loads(text.read_text()) if (text := folder / "choices.json").exists() else {}
    source = chosen.get("format") or next(known for known in FORMATS if name.startswith(known))
    choices = ImportChoices(TableMap(chosen.get("map", {})), chosen.get("types", {}), unit=chosen.get("unit"))
    events = FileImport(next(folder.glob("source.*")), source, choices, EventSettings())
    rejects: list[bytes] = []
    lines = [*events.events(lambda row, bad: rejects.append(rejected_line(row.number, bad, row.written or row.record)))]
    return {
        "events.jsonl": b"".join(line + b"\n" for line in lines),
        "rejects.jsonl": b"".join(rejects),
        "counts.json": (json.dumps(counts(events), indent=1) + "\n").encode(),
    }


def counts(events: FileImport) -> dict[str, Any]:
    return {
        "read": events.counts.read,
        "written": events.counts.written,
        "reasons": events.counts.reasons,
        "unmapped": events.names.unmapped,
        "unused": [*events.names.unused, *events.unused_columns],
        "unit": events.decisions.unit,
        "mark": events.decisions.mark,
        "whole": sorted(events.decisions.whole),
        "repeated": events.repeated,
    }


if __name__ == "__main__":
    for folder in FOLDERS:
        for file, content in imported(folder).items():
            (FOLDER / folder / file).write_bytes(content)
