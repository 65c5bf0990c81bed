"""`shop.events.v1` into a file for training, with a note beside it of where it comes from."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators.contracts import EVENTS, encode_record
from operators.decode import EventDecoder
from operators.errors import BadRecord
from operators.settings import Settings
from pipelines.topic_stretch import Stretch

ORIGIN = ".origin.json"


@dataclass(frozen=True)
class Exported:
    """What was written; `refused`: records that the job makes dead letters of."""

    events: int
    refused: int
    offsets: dict[str, tuple[int, int]]


def export_events(settings: Settings, file: Path, hours: float | None) -> Exported:
    """Valid events of the last `hours` (None: all that the topic holds) as JSON lines, in the order of each partition.

    Both files appear by rename only. Raises `BrokerError` where there is no topic.
    """
    since = None if hours is None else int((time.time() - hours * 3600) * 1000)
    source = Stretch(settings.kafka, EVENTS, since)
    aside = file.with_name(f".{file.name}.part")
    try:
        written, refused = _write(source, aside, EventDecoder(settings.events))
    finally:
        source.close()
    offsets = {str(number): (source.starts[number], source.ends[number]) for number in source.starts}
    origin = {
        "topic": EVENTS,
        "offsets": offsets,
        "events": written,
        "refused": refused,
        "exported_at": int(time.time() * 1000),
    }
    note = file.with_name(f".{file.name}{ORIGIN}.part")
    note.write_text(json.dumps(origin))
    note.rename(file.with_name(file.name + ORIGIN))
    aside.rename(file)
    return Exported(written, refused, offsets)


def _write(records: Iterable[Any], file: Path, decoder: EventDecoder) -> tuple[int, int]:
    written = refused = 0
    with file.open("wb") as out:
        for record in records:
            try:
                event = decoder.decode((record.key or b"").decode("utf-8", "replace"), record.value, record.timestamp)
            except BadRecord:
                refused += 1
                continue
            out.write(encode_record(event) + b"\n")
            written += 1
    return written, refused
