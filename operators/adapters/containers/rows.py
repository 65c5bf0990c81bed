"""Opens a file of foreign records, whatever container it is in."""

import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

import msgspec

from operators.adapters.containers import csv_rows, json_values, parquet_rows
from operators.adapters.containers.row import Layout, Row, as_row
from operators.errors import BadRecord, EventsFileError
from operators.records.json_objects import BOM, read_object
from operators.records.record_lines import HEAD, opened, other_form, refuse_pipe, unreadable
from operators.records.written_values import SHOWN

PARQUET = b"PAR1"
Stream = BufferedIOBase
MAX_LINE = 1 << 24  # bytes: a longer line is refused, and skipped in pieces
_decode = msgspec.json.Decoder().decode


class RecordRows:
    """Iterates over the rows of a file; may be repeated. `columns`: of a table, known after the first row."""

    def __init__(self, file: Path, layout: Layout) -> None:
        refuse_pipe(file)
        self.file, self.layout = file, layout
        self.columns: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Row]:
        """Raises `EventsFileError` for a file that is unreadable or broken as a whole."""
        try:
            with opened(self.file) as stream:
                yield from self._rows(stream, stream.peek(HEAD)[:HEAD])
        except (OSError, EOFError, zlib.error) as error:
            raise unreadable(self.file, error) from error

    def _rows(self, stream: Stream, head: bytes) -> Iterator[Row]:
        form = other_form(head)
        start = head.removeprefix(BOM).lstrip()[:1]
        if head.startswith(PARQUET):
            self.columns = parquet_rows.columns_of(self.file, self.layout.lower)
            yield from parquet_rows.rows(self.file, self.layout.lower)
        elif self.layout.lines:
            yield from _text_lines(stream)
        elif start == b"[" or (start == b"{" and form):
            yield from json_values.rows(stream, self.file)
        elif start == b"{":
            yield from _json_lines(stream)
        elif form and form[0] != "a table such as CSV":
            name, fix = form
            raise EventsFileError(f"JSON, CSV or parquet in {self.file}", name, fix.format(file=self.file))
        else:
            table = csv_rows.CsvTable(self.file, self.layout, head)
            self.columns = table.columns
            yield from table.rows(numbered_lines(stream))


def numbered_lines(stream: Stream) -> Iterator[tuple[int, bytes]]:
    """The lines with their ends, in memory one at a time; of a longer one than `MAX_LINE` the beginning."""
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        end = line
        while len(end) == MAX_LINE and not end.endswith(b"\n"):
            end = stream.readline(MAX_LINE)
        yield number, line.removeprefix(BOM) if number == 1 else line


def _json_lines(stream: Stream) -> Iterator[Row]:
    for number, line in numbered_lines(stream):
        if not (line := line.strip()):
            continue
        try:
            record = _decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            yield _refused(number, line)
            continue
        yield as_row(number, record, line.decode("utf-8", "backslashreplace")[:SHOWN])


def _refused(number: int, line: bytes) -> Row:
    """A line that msgspec refused: the slower reader knows the reason."""
    try:
        return Row(number, read_object(line))
    except BadRecord as bad:
        return Row(number, bad, line.decode("utf-8", "backslashreplace"))


def _text_lines(stream: Stream) -> Iterator[Row]:
    for number, line in numbered_lines(stream):
        if line.strip():
            yield Row(number, {"number": number, "line": line.decode("utf-8", "backslashreplace").strip()})
