"""Many logs as one, in the order of time. A line without a time (a stack trace) stays with the line before it."""

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
    """The entries of one log, oldest first; what stands before the first time is left out."""
    with file.open("rb") as opened:
        opened.seek(0, 2)
        opened.seek(max(0, opened.tell() - TAIL_BYTES))
        text = opened.read().decode("utf-8", "replace")
    at, held = 0.0, list[str]()
    for line in text.rstrip("\n").split("\n"):  # splitlines also ends a line where only a record's text has a separator
        if (found := stamp(line)) is not None:
            if held:
                yield at, file.stem, "\n".join(held)
            at, held = max(at, found), [_told(line)]
        elif held:
            held.append(f"    {line}")
    if held:
        yield at, file.stem, "\n".join(held)


def stamp(line: str) -> float | None:
    """The time of a line, epoch s. Flink's, Kafka's and supervisor's are local time, the others say that theirs is UTC."""
    found = _STAMP.match(line)
    if not found:
        return None
    moment = datetime.fromisoformat(found[1])
    moment = moment.replace(tzinfo=UTC) if found[3] else moment.astimezone()
    return moment.timestamp() + float(f"0.{found[2] or 0}")


def _told(line: str) -> str:
    """A JSON line of ours as a person reads it."""
    if not line.startswith("{"):
        return line
    try:
        told = json.loads(line)
    except ValueError:
        return line
    more = {k: v for k, v in told.items() if k not in ("part", "logger", "level", "time", "message", "exception")}
    text = f"{told.get('time', '')} {str(told.get('level', '')).upper()} {told.get('logger')}: "
    text += visible(str(told.get("message")))  # its line breaks would look like lines of the log
    text += f" {more}" if more else ""
    return "\n    ".join([text, *filter(None, str(told.get("exception", "")).split("\n"))])


def merged(files: list[Path], last: int, since_minutes: float | None) -> list[str]:
    """The newest `last` entries of all files, each line with its part before it."""
    begin = time.time() - 60 * since_minutes if since_minutes is not None else 0.0
    kept = deque((e for e in heapq.merge(*map(entries, files)) if e[0] >= begin), maxlen=last)
    return [f"{part:<14} {line}" for _, part, text in kept for line in text.split("\n")]
