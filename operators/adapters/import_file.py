"""Imports a file in two passes: the first one decides what its values mean, the second one makes the events."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from operators.adapters.containers.row import Layout, Row
from operators.adapters.containers.rows import RecordRows
from operators.adapters.decisions import Decisions, Evidence
from operators.adapters.event_ids import Repeats, encoded, numbered
from operators.adapters.event_names import EventNames
from operators.adapters.fields import Record
from operators.adapters.registry import CSV, FORMATS, Format, TableMap, format_of, guess
from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord, EventsFileError
from operators.records.contracts import Event, encode_record
from operators.records.event_decode import EventDecoder

TRIED = 100  # records by which a file is recognised
EXAMPLES = 20


@dataclass(frozen=True)
class ImportChoices:
    """What the shop says about its file. `types`: their event name -> our type; `unit`, `mark`: None to let the file
    decide."""

    table: TableMap = field(default_factory=TableMap)
    types: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    delimiter: str = ""
    unit: str | None = None
    mark: str | None = None


@dataclass
class ImportCounts:
    """What an import did. `reasons`: of rejected events; `first_ms`, `last_ms`: the span of the written events."""

    read: int = 0
    written: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[int, str, str]] = field(default_factory=list)
    types: Counter[str] = field(default_factory=Counter)
    first_ms: int | None = None
    last_ms: int | None = None

    def reject(self, row: Row, bad: BadRecord) -> None:
        """Counts a rejected event."""
        self.reasons[bad.reason] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append((row.number, bad.reason, f"expected {bad.expected}; came {bad.came}"))

    def write(self, event: Event) -> None:
        """Counts a written event."""
        time_ms = int(event.event_time)
        self.written += 1
        self.types[event.event_type] += 1
        self.first_ms = time_ms if self.first_ms is None else min(self.first_ms, time_ms)
        self.last_ms = time_ms if self.last_ms is None else max(self.last_ms, time_ms)


class FileImport:
    """The events of a foreign file. `counts`, `names` and `repeated` are complete after `events`."""

    def __init__(self, file: Path, source: str, choices: ImportChoices, limits: EventSettings) -> None:
        """Reads the whole file once. Raises `EventsFileError` where it is not of that format."""
        known = FORMATS.get(source)
        layout = Layout(
            choices.columns,
            choices.delimiter,
            lower=known is not None and known.lower,
            headerless=known.headerless if known else (),
            lines=known is not None and known.lines,
        )
        self.file, self._choices = file, choices
        self._rows = RecordRows(file, layout)
        self._format = self._recognised(source)
        self.unused_columns = self._unused()
        self.decoder = EventDecoder(limits, any_age=True)
        self.counts, self.names, self.repeated = ImportCounts(), EventNames({}), 0
        self._repeats = Repeats()
        self.decisions = self._decided()

    def _recognised(self, source: str) -> Format:
        rows = [row for row in islice(self._rows, TRIED) if not isinstance(row.record, BadRecord)]
        records = [row.record for row in rows if isinstance(row.record, dict)]
        columns = self._rows.columns or tuple(dict.fromkeys(name for record in records for name in record))
        if source == CSV and records:
            return format_of(source, columns, self._choices.table)
        if records and any(FORMATS[source].looks(record) for record in records):
            return format_of(source, columns, self._choices.table)
        came = f"records with {', '.join(columns)}"[:300] if columns else "no record that can be read"
        raise EventsFileError(
            f"{source} in {self.file}: records with {FORMATS[source].expected}"
            if source != CSV
            else f"a table in {self.file}",
            came,
            _suggestion(records, columns),
        )

    def _unused(self) -> list[str]:
        used = {*self._format.columns.values()} if self._format.columns else {*self._rows.columns}
        return [name for name in self._rows.columns if name not in used]

    def _decided(self) -> Decisions:
        evidence, names = Evidence(), EventNames(self._choices.types)
        for row in self._rows:
            for event in self._mapped(row, names, lambda row, bad: None):
                evidence.take(event)
                try:
                    self._repeats.take(event)
                except BadRecord:
                    continue  # the second pass counts it
        self._repeats.close()
        return evidence.decide(self._choices.unit, self._choices.mark)

    def _mapped(self, row: Row, names: EventNames, reject: Callable[[Row, BadRecord], object]) -> list[Record]:
        try:
            if isinstance(row.record, BadRecord):
                raise row.record
            events = self._format.events(row.record, names)
        except BadRecord as bad:
            reject(row, bad)
            return []
        numbered(events)
        return events

    def events(self, on_reject: Callable[[Row, BadRecord], object] = lambda row, bad: None) -> Iterator[bytes]:
        """The lines of the events file. `on_reject` gets each record that is left out, once for each of its events."""
        self.counts, self.names = ImportCounts(), EventNames(self._choices.types)
        ids, now_ms = self._repeats.ids(), time.time_ns() // 1_000_000

        def reject(row: Row, bad: BadRecord) -> None:
            self.counts.reject(row, bad)
            on_reject(row, bad)

        for row in self._rows:
            self.counts.read += 1
            for event in self._mapped(row, self.names, reject):
                try:
                    if not ids.give(event):
                        continue
                    self.decisions.apply(event)
                    decoded = self.decoder.decode("", encoded(event), now_ms)
                except BadRecord as bad:
                    reject(row, bad)
                    continue
                self.counts.write(decoded)
                yield encode_record(decoded)
        self.repeated = ids.repeated


def _suggestion(records: list[Record], columns: tuple[str, ...]) -> str:
    if {"event_id", "event_type", "event_time", "user_id"} <= {*columns}:
        return "these are Liveshelf's own events: use the file as it is, liveshelf validate FILE"
    for record in records:
        if name := guess(record):
            return f"this looks like {name}: --from {name}"
    return "for a table of your own: --from csv --map user_id=COLUMN,item_id=COLUMN,event_time=COLUMN,event_type=COLUMN"
