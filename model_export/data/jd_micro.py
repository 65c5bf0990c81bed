"""Sessions of JD.com's micro-behaviour samples (Gu et al., WSDM 2020) as canonical events, with their true gaps.

A line is a session: `sku+behaviour+category+seconds to the next event+dwell` separated by blanks. The data has no dates:
sessions start one hour apart. Actions on a product's page (6 comments, 7 specification, 8 bottom) are skipped.
`python -m model_export.data.jd_micro FILE.txt.gz OUT.jsonl`
"""

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path

from model_export.data.sessions import EPOCH_MS
from operators.errors import EventsFileError
from operators.records.contracts import Event, encode_record
from operators.time_units import HOUR_MS

KINDS = {**dict.fromkeys("12345", "view"), "9": "add_to_cart", "10": "purchase"}


def events(file: Path) -> Iterator[Event]:
    """Canonical events, session after session. Raises `EventsFileError` at the first malformed line."""
    with gzip.open(file, "rt") as lines:
        for session, line in enumerate(lines):
            time_ms = EPOCH_MS + session * HOUR_MS
            for position, text in enumerate(line.split()):
                try:
                    sku, behaviour, _, gap, _ = text.split("+")
                    wait_ms = max(int(float(gap) * 1000), 1)
                except ValueError as error:
                    problem = f"line {session + 1}: {text[:80]}"
                    raise EventsFileError(
                        "sku+behaviour+category+interval+dwell", problem, "see the data's README"
                    ) from error
                if kind := KINDS.get(behaviour):
                    yield Event(
                        event_id=f"{session}-{position}",
                        event_type=kind,  # type: ignore[arg-type]
                        event_time=time_ms,
                        user_id=f"s{session}",
                        item_id=sku,
                    )
                time_ms += wait_ms


def main(source: Path, target: Path) -> None:
    """Writes the events as JSON lines, sorted by time."""
    with target.open("wb") as file:
        for event in sorted(events(source), key=lambda event: int(event.event_time)):
            file.write(encode_record(event) + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
