"""Tables as text: CSV, TSV, with `;` or `|`. One header, or none where the columns are named."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from operators.adapters.containers.row import Layout, Row
from operators.errors import BadRecord, EventsFileError
from operators.records.json_objects import BOM
from operators.records.written_values import SHOWN

DELIMITERS = (",", ";", "\t", "|")
NO_VALUE = ("", "NULL", "\\N")  # as databases write it


class CsvTable:
    """A table whose header is read. Raises `EventsFileError` for one that has no usable columns."""

    def __init__(self, file: Path, layout: Layout, head: bytes) -> None:
        self.file = file
        first = head.removeprefix(BOM).lstrip(b"\r\n").partition(b"\n")[0].decode("utf-8", "replace").rstrip("\r")
        if "\r" in first:
            raise EventsFileError("lines that end in LF or CRLF", "CR alone", f"tr '\\r' '\\n' < {file} > NEW.csv")
        self.delimiter = layout.delimiter or max(DELIMITERS, key=lambda mark: len(_cells(first, mark)))
        cells = _cells(first, self.delimiter)
        self.has_header, self.is_quoted_nowhere = not layout.columns, False
        if layout.headerless and len(first.split("\t")) == len(layout.headerless) and layout.headerless[6] not in cells:
            self.delimiter, self.has_header, self.is_quoted_nowhere = "\t", False, True
            self.columns = layout.headerless
        else:
            self.columns = layout.columns or tuple(_name(cell, layout.lower) for cell in cells)
        self._lower = layout.lower
        self._check(cells)

    def _check(self, cells: list[str]) -> None:
        if len(cells) < 2 and len(self.columns) < 2:
            raise EventsFileError(
                f"a table in {self.file}, its columns apart by comma, semicolon, tab or |",
                f"the line {cells[:1] or ''}"[:SHOWN],
                "name the mark between them: --delimiter MARK",
            )
        if not self.has_header and len(cells) != len(self.columns):
            raise EventsFileError(
                f"the {len(self.columns)} columns that are named", f"{len(cells)} in line 1 of {self.file}", "name each"
            )
        if repeated := [name for name in self.columns if self.columns.count(name) > 1]:
            raise EventsFileError(
                f"each column once in the header of {self.file}", f"{repeated[0]!r} twice", "rename one of them"
            )

    def rows(self, lines: Iterator[tuple[int, bytes]]) -> Iterator[Row]:
        """Raises `EventsFileError` for another header among the rows."""
        text = (line.decode("utf-8", "surrogateescape") for _, line in lines)
        table = csv.reader(
            text, delimiter=self.delimiter, quoting=csv.QUOTE_NONE if self.is_quoted_nowhere else csv.QUOTE_MINIMAL
        )
        header, width, skip = {*self.columns}, len(self.columns), self.has_header
        while True:
            try:
                cells = next(table)
            except StopIteration:
                return
            except csv.Error as error:
                bad = BadRecord("wrong_type", f"a row of {width} columns", f"{error}: a quotation mark left open?")
                yield Row(table.line_num, bad)
                continue
            if not cells:
                continue
            if skip:
                skip = False
                continue
            if _name(cells[0], self._lower) in header and {_name(cell, self._lower) for cell in cells} == header:
                raise self._second_header(table.line_num)
            if len(cells) != width:
                bad = BadRecord("wrong_type", f"a row of {width} columns, as the header has", f"{len(cells)} columns")
                yield Row(table.line_num, bad, self.delimiter.join(cells))
                continue
            pairs = zip(self.columns, cells, strict=True)
            yield Row(table.line_num, {name: cell for name, cell in pairs if cell not in NO_VALUE})

    def _second_header(self, line: int) -> EventsFileError:
        if not self.has_header:
            return EventsFileError(
                f"rows alone in {self.file}, as its columns are named",
                f"a header in line {line}",
                "leave out --columns",
            )
        reader = "zcat" if self.file.suffix == ".gz" else "cat"
        return EventsFileError(
            f"one header in {self.file}, in its first line",
            f"another in line {line}: two exports, one behind the other?",
            f"import each by itself, or take the line out: {reader} {self.file} | sed '{line}d' > NEW.csv",
        )


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _name(cell: Any, lower: bool) -> str:
    name = str(cell).lstrip("\ufeff").strip()
    return name.lower() if lower else name
