"""The lines of a file of JSON lines: plain or gzip, LF or CRLF, with or without a byte-order mark, blank ones skipped.

Files of another form are refused as a whole, with the command that turns them into this one.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from operators.errors import EventsFileError
from operators.records.json_objects import BOM

HEAD = 65_536  # bytes from which the form of a file is recognised
_GZIP = b"\x1f\x8b"
_ARCHIVES = {
    b"PK\x03\x04": ("a zip archive", "unzip {file}"),
    b"BZh": ("a bzip2 file", "bunzip2 -k {file}"),
    b"\x28\xb5\x2f\xfd": ("a zstd file", "zstd -d {file}"),
    b"\xfd7zXZ": ("an xz file", "xz -dk {file}"),
    b"Obj\x01": ("an Avro file", "avro-tools tojson {file} > NEW.jsonl"),
    b"PAR1": (
        "a parquet file",
        'python -c \'import pandas, sys; pandas.read_parquet(sys.argv[1]).to_json(sys.argv[2], orient="records",'
        " lines=True)' {file} NEW.jsonl",
    ),
}
_PARSER = json.JSONDecoder()
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_FROM_CSV = "liveshelf import {file} --from csv --out NEW.jsonl (docs/import.md)"


class RecordLines:
    """Iterates over (number from 1, bytes without the line's end). `blank`: lines skipped so far."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.blank = 0
        refuse_pipe(file)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Raises `EventsFileError` where the file cannot be read or has another form."""
        self.blank = 0
        try:
            with opened(self.file) as lines:
                head = lines.peek(HEAD)[:HEAD]
                if form := other_form(head):
                    name, fix = form
                    raise EventsFileError(f"JSON lines in {self.file}", name, fix.format(file=self.file))
                for number, line in enumerate(lines, start=1):
                    bare = (line.removeprefix(BOM) if number == 1 else line).rstrip(b"\r\n")
                    if bare.strip():
                        yield number, bare
                    else:
                        self.blank += 1
        except (OSError, EOFError, zlib.error) as error:
            raise unreadable(self.file, error) from error


def refuse_pipe(file: Path) -> None:
    """Raises `EventsFileError` for a pipe: it can be read once, and a file is read twice."""
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise EventsFileError(f"a file in {file}", "a pipe or a device", f"save it first: cat {file} > NEW.jsonl")


def opened(file: Path) -> "io.BufferedReader[io.FileIO] | gzip.GzipFile":
    """The bytes of a file, plain or gzip."""
    lines = io.BufferedReader(io.FileIO(file), HEAD)
    if lines.peek(2)[:2] != _GZIP:
        return lines
    lines.close()
    return gzip.open(file, "rb")


def unreadable(file: Path, error: Exception) -> EventsFileError:
    """The error for a file that ends too early, or that cannot be read at all."""
    why = str(error.strerror) if isinstance(error, OSError) and error.strerror else str(error)
    return EventsFileError(f"a file that can be read to its end, {file}", why, "name another file, or mend this one")


def other_form(head: bytes) -> tuple[str, str] | None:
    """The form of a file with this beginning, and the command that converts it; None for JSON lines, good or bad."""
    for magic, form in _ARCHIVES.items():
        if head.startswith(magic):
            return form
    if head.startswith(_UTF16) or head[1:2] == b"\0" or head[:1] == b"\0":
        return "UTF-16 text", "iconv -f UTF-16 -t UTF-8 {file} > NEW.jsonl"
    if head[257:262] == b"ustar":
        return "a tar archive", "tar -xf {file}"
    lines = [line for line in map(bytes.strip, head.removeprefix(BOM).splitlines()) if line][:2]
    if not lines:
        return ("an empty file" if not head else "blank lines alone"), "export the records first"
    first = lines[0]
    if first.startswith(b"["):
        return "a JSON array", "jq -c '.[]' {file} > NEW.jsonl"
    if first.startswith(b"<"):
        return "XML, or a web page that may say what went wrong", "export the records as JSON lines"
    if after := _after_object(first):
        return (
            ("objects with commas between", "sed 's/,[[:space:]]*$//' {file} > NEW.jsonl")
            if after == ","
            else ("several objects on a line", "jq -c . {file} > NEW.jsonl")
        )
    if first.startswith(b"{") and first.endswith((b"{", b",", b"[", b":")):
        return "JSON over several lines a record", "jq -c . {file} > NEW.jsonl"
    if not any(line.startswith(b"{") for line in lines) and any(mark in first for mark in (b",", b";", b"\t")):
        return "a table such as CSV", _FROM_CSV
    return None


def _after_object(line: bytes) -> str:
    """The first character after the first object of a line: "," or "{"; empty for any other line."""
    try:
        value, end = _PARSER.raw_decode(text := line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return ""
    rest = text[end:].strip()
    return rest[:1] if isinstance(value, dict) and (rest == "," or rest.startswith("{")) else ""
