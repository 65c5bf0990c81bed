"""Merges several logs by time. A line without a time (as in a stack trace) stays with the line before it."""

import heapq
import json
import re
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from operators.telemetry.visible import visible

TAIL_BYTES = 4_000_000  # of each file
_STAMP = re.compile(r"^(?:ts=|\{.*\"time\": \")?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z?)")

Entry = tuple[float, str, str]  # epoch s, part, text (several lines)


def entries(file: Path) -> Iterator[Entry]:
    """The entries of one log, oldest first; lines before the first time are skipped."""
    with file.open("rb") as opened:
        opened.seek(0, 2)
        opened.seek(max(0, opened.tell() - TAIL_BYTES))
        text = opened.read().decode("utf-8", "replace")
    entry_time_s, lines = 0.0, list[str]()
    for line in text.rstrip("\n").split("\n"):  # splitlines also ends a line where only a record's text has a separator
        if (time_s := stamp(line)) is not None:
            if lines:
                yield entry_time_s, file.stem, "\n".join(lines)
            entry_time_s, lines = max(entry_time_s, time_s), [_readable(line)]
        elif lines:
            lines.append(f"    {line}")
    if lines:
        yield entry_time_s, file.stem, "\n".join(lines)


def stamp(line: str) -> float | None:
    """The time of a line, epoch s. Flink, Kafka and supervisor log local time; the other logs mark theirs as UTC."""
    match = _STAMP.match(line)
    if not match:
        return None
    moment = datetime.fromisoformat(match[1])
    moment = moment.replace(tzinfo=UTC) if match[3] else moment.astimezone()
    return moment.timestamp() + float(f"0.{match[2] or 0}")


def _readable(line: str) -> str:
    """Turns a JSON log line into readable text."""
    if not line.startswith("{"):
        return line
    try:
        record = json.loads(line)
    except ValueError:
        return line
    fields = {k: v for k, v in record.items() if k not in ("part", "logger", "level", "time", "message", "exception")}
    text = f"{record.get('time', '')} {str(record.get('level', '')).upper()} {record.get('logger')}: "
    text += visible(str(record.get("message")))  # its line breaks would look like lines of the log
    text += f" {fields}" if fields else ""
    return "\n    ".join([text, *filter(None, str(record.get("exception", "")).split("\n"))])


def merged(files: list[Path], last: int, since_minutes: float | None) -> list[str]:
    """The newest `last` entries of all files, each line prefixed with its part."""
    begin = time.time() - 60 * since_minutes if since_minutes is not None else 0.0
    newest = deque((e for e in heapq.merge(*map(entries, files)) if e[0] >= begin), maxlen=last)
    return [f"{part:<14} {line}" for _, part, text in newest for line in text.split("\n")]
