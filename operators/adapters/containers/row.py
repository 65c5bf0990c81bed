"""A row of a file, and what its reader must be told."""

from dataclasses import dataclass
from typing import NamedTuple

from operators.adapters.fields import Record
from operators.errors import BadRecord


class Row(NamedTuple):
    """A record, or why it is none. `number`: of its line, from 1, or of the record where lines say nothing."""

    number: int
    record: Record | BadRecord
    written: str = ""  # a bad record as it stands in the file


@dataclass(frozen=True)
class Layout:
    """What a table does not say itself. `columns`: of one without a header; `delimiter`: empty for the likely one;
    `lower`: read column names in lower case; `headerless`: columns of a TSV that never has a header."""

    columns: tuple[str, ...] = ()
    delimiter: str = ""
    lower: bool = False
    headerless: tuple[str, ...] = ()
    lines: bool = False


def as_row(number: int, value: object, written: str) -> Row:
    """A row for a value of JSON."""
    if isinstance(value, dict):
        return Row(number, value)
    return Row(number, BadRecord("not_an_object", "a JSON object", type(value).__name__), written)
