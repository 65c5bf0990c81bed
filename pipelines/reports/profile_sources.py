"""Reads the records of a profile from the topics, or from a shop's files."""

import time
from collections.abc import Iterator
from pathlib import Path

from operators.errors import BadRecord
from operators.kafka_io.read_to_end import read_topic
from operators.records.catalogue_decode import read_item
from operators.records.contracts import CATALOGUE, EVENTS
from operators.records.record_lines import RecordLines
from operators.settings import KafkaSettings
from operators.time_units import HOUR_MS
from pipelines.reports.data_profile import Profile, Record, profile


def read_profile(settings: KafkaSettings, events: Path | None, catalogue: Path | None, hours: float) -> Profile:
    """Profiles a file of events, or (None) the last `hours` of the topic; the catalogue from a file or the topic.

    A file of events without a file of the catalogue is profiled alone. Raises `BrokerError`, `EventsFileError`.
    """
    source = events.name if events else f"{EVENTS}, last {hours:g} h"
    return profile(source, _events(settings, events, hours), _catalogue(settings, events, catalogue))


def _events(settings: KafkaSettings, file: Path | None, hours: float) -> Iterator[Record]:
    if file is not None:
        yield from (("", line, 0) for _, line in RecordLines(file))
        return
    for record in read_topic(settings, EVENTS, int(time.time() * 1000 - hours * HOUR_MS)):
        yield (record.key or b"").decode("utf-8", "replace"), record.value, record.timestamp


def _catalogue(settings: KafkaSettings, events: Path | None, file: Path | None) -> Iterator[tuple[str, bytes | None]]:
    if file is not None:
        yield from ((_item_id(line), line) for _, line in RecordLines(file))
    elif events is None:
        for record in read_topic(settings, CATALOGUE):
            yield (record.key or b"").decode("utf-8", "replace"), record.value


def _item_id(line: bytes) -> str:
    """The item id of a line, which is the record's key; "" if the line cannot be read."""
    try:
        return read_item("", line).item_id
    except BadRecord:
        return ""
