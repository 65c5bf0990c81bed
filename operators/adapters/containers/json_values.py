"""The objects of a JSON array, or of JSON over several lines, without reading the whole file."""

import codecs
import json
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

from operators.adapters.containers.row import Row, as_row
from operators.errors import EventsFileError
from operators.records.written_values import SHOWN

CHUNK = 1 << 20
MAX_VALUE = 1 << 24  # characters of one object
_parse = json.JSONDecoder().raw_decode
_BETWEEN = " \t\r\n,[]"


def rows(stream: BufferedIOBase, file: Path) -> Iterator[Row]:
    """A row for each element. Raises `EventsFileError` where the JSON breaks: what follows cannot be told apart."""
    utf8 = codecs.getincrementaldecoder("utf-8-sig")()
    held, number, at_end = "", 0, False
    while not at_end or held:
        chunk = stream.read(max(CHUNK, len(held)))
        at_end = not chunk
        try:
            held += utf8.decode(chunk, at_end)
        except UnicodeDecodeError as error:
            raise _broken(file, number, str(error)) from None
        place, breaks = 0, ""
        while rest := held[place : place + 1]:
            if rest in _BETWEEN:
                place += 1
                continue
            try:
                value, end = _parse(held, place)
            except (ValueError, RecursionError) as error:
                breaks = str(error)
                break
            if end == len(held) and not at_end:  # a number may go on
                break
            number += 1
            yield as_row(number, value, held[place : min(end, place + SHOWN)])
            place = end
        held = held[place:]
        if breaks and (at_end or len(held) > MAX_VALUE):
            raise _broken(file, number, breaks)


def _broken(file: Path, number: int, why: str) -> EventsFileError:
    return EventsFileError(
        f"JSON to the end of {file}",
        f"a break behind element {number}: {why}"[: 2 * SHOWN],
        "export it again as JSON lines, one record a line: then a broken line is left out by itself",
    )
