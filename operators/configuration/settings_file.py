"""Reads a settings file: TOML in UTF-8. An error names line and column."""

import re
import tomllib
from pathlib import Path
from typing import Any

from operators.configuration.rest_address import without_password
from operators.errors import SettingsError

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SECRET = re.compile(r"password|secret|jaas", re.IGNORECASE)


def read_settings_file(file: Path) -> dict[str, Any]:
    """The tables of `file`; a byte-order mark before them is skipped.

    Raises `SettingsError` where it cannot be read, is not UTF-8, or is no TOML: with line, column and the line itself.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"a settings file {file} that this user can read",
            str(error.strerror),
            f"chmod u+r {file}, or name another in LIVESHELF_FILE",
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"UTF-8 in {file}", f"other bytes in line {line}", "save the file as UTF-8 in your editor"
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"TOML in {file}", _parser_message(str(error), text), "correct that line") from None


def _parser_message(error: str, text: str) -> str:
    """The message of Python's parser, with the place first and the line last."""
    place = _PLACE.search(error)
    if place is None:
        return error
    lines = text.rstrip("\n").split("\n")
    number = int(place[1] or len(lines))
    line = lines[number - 1].strip() if number <= len(lines) else ""
    shown = "a line about a secret" if _SECRET.search(line) else without_password(line)
    where = f"line {number}, column {place[2]}" if place[2] else f"its end, line {number}"
    return f"at {where}: {error[: place.start()]}: {shown}"
