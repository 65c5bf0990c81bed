"""`shop.events.v1` into a file for training, with a note beside it of where it comes from."""

import json
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from operators.errors import BadRecord
from operators.kafka_io.read_to_end import TopicRange
from operators.records.contracts import EVENTS, encode_record
from operators.records.event_decode import EventDecoder
from operators.settings import Settings
from pipelines.topics.whole_file import whole_file

ORIGIN = ".origin.json"


@dataclass(frozen=True)
class Exported:
    """What was written; `refused`: records that the job makes dead letters of."""

    events: int
    refused: int
    offsets: dict[str, tuple[int, int]]


def export_events(settings: Settings, file: Path, hours: float | None) -> Exported:
    """Valid events of the last `hours` (None: all that the topic holds) as JSON lines, in the order of each partition.

    Both files appear whole or not at all. Raises `BrokerError` where there is no topic.
    """
    since = None if hours is None else int((time.time() - hours * 3600) * 1000)
    source = TopicRange(settings.kafka, EVENTS, since)
    offsets = {str(number): (source.starts[number], source.ends[number]) for number in source.starts}
    with whole_file(file) as out:
        with closing(source):
            written, refused = _write(source, out, EventDecoder(settings.events))
        origin = {
            "topic": EVENTS,
            "offsets": offsets,
            "events": written,
            "refused": refused,
            "exported_at": int(time.time() * 1000),
        }
        with whole_file(file.with_name(file.name + ORIGIN)) as note:
            note.write(json.dumps(origin).encode())
    return Exported(written, refused, offsets)


def _write(records: Iterable[Any], out: BinaryIO, decoder: EventDecoder) -> tuple[int, int]:
    written = refused = 0
    for record in records:
        try:
            event = decoder.decode((record.key or b"").decode("utf-8", "replace"), record.value, record.timestamp)
        except BadRecord:
            refused += 1
            continue
        out.write(encode_record(event) + b"\n")
        written += 1
    return written, refused
