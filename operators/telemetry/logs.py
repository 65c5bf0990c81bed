"""Logs of our processes: one JSON line an incident, repeated lines counted instead of written, no personal data."""

import json
import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from operators.telemetry.visible import visible

EVERY_S = 60.0  # time in which one line of each kind is written
PERSONAL = ("user", "user_id", "anonymous_id", "key", "query")
MAX_KINDS = 1000


class RateLimit(logging.Filter):
    """Passes one line of a kind (logger, level, text before its values are filled in) a minute; the next line holds the
    number of suppressed lines."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock_s = clock_s
        self._kinds: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """As `logging.Filter`."""
        kind, now = (record.name, record.levelno, str(record.msg)), self._clock_s()
        since, held = self._kinds.get(kind, (float("-inf"), 0))
        if now - since < EVERY_S:
            self._kinds[kind] = (since, held + 1)
            return False
        if len(self._kinds) >= MAX_KINDS:  # bounds the memory where each text differs
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        if held:
            record.__dict__["repeated"] = held
        return True


def _without_persons(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in PERSONAL:
        if name in entry:
            entry[name] = "…"
    return entry


def _named(part: str) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    def name(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        record = entry.pop("_record")
        entry.pop("_from_structlog", None)
        return {"part": part, "logger": record.name} | dict(entry)

    return name


def _line(entry: Any, **options: Any) -> str:
    """JSON with escaped C1 controls and direction marks too, which a terminal would obey."""
    return visible(json.dumps(entry, ensure_ascii=False, **options))


def configure(part: str, level: int = logging.INFO) -> None:
    """The root logger of this process writes JSON lines to stdout; calling it again changes the name alone."""
    form = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[
            _named(part),
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            _without_persons,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(serializer=_line),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(form)
    handler.addFilter(RateLimit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("kafka").setLevel(logging.WARNING)  # at INFO it logs each connection
    logging.getLogger("httpx").setLevel(logging.WARNING)
