"""Exports `shop.events.v1` to a file for training; a second file beside it names the offsets."""

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
class EventExport:
    """Counts of an export, and partition -> (first offset, end). `refused`: records that become dead letters in the job."""

    events: int
    refused: int
    offsets: dict[str, tuple[int, int]]


def export_events(settings: Settings, file: Path, hours: float | None) -> EventExport:
    """Writes the valid events of the last `hours` (None: of the whole topic) as JSON lines, each partition in order.

    Each file appears complete or not at all. Raises `BrokerError` without a topic.
    """
    since_ms = None if hours is None else int((time.time() - hours * 3600) * 1000)
    source = TopicRange(settings.kafka, EVENTS, since_ms)
    offsets = {str(number): (source.starts[number], source.ends[number]) for number in source.starts}
    with whole_file(file) as lines:
        with closing(source):
            event_count, refused = _write(source, lines, EventDecoder(settings.events))
        origin = {
            "topic": EVENTS,
            "offsets": offsets,
            "events": event_count,
            "refused": refused,
            "exported_at": int(time.time() * 1000),
        }
        with whole_file(file.with_name(file.name + ORIGIN)) as note:
            note.write(json.dumps(origin).encode())
    return EventExport(event_count, refused, offsets)


def _write(records: Iterable[Any], lines: BinaryIO, decoder: EventDecoder) -> tuple[int, int]:
    event_count = refused = 0
    for record in records:
        try:
            event = decoder.decode((record.key or b"").decode("utf-8", "replace"), record.value, record.timestamp)
        except BadRecord:
            refused += 1
            continue
        lines.write(encode_record(event) + b"\n")
        event_count += 1
    return event_count, refused
