"""Checks a shop's file of events before it goes anywhere: counts by type, bad lines by reason, users without history."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from operators.decode import EventDecoder
from operators.errors import BadRecord
from operators.settings import EventSettings
from operators.user_state import KINDS

NOW_MS = 4_000_000_000_000  # files hold old events: only the future is refused
EXAMPLES = 20


@dataclass
class EventFileReport:
    """What a file of JSON lines holds."""

    lines: int = 0
    types: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    bad_lines: list[tuple[int, str, str]] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    users_with_history: set[str] = field(default_factory=set)
    items: set[str] = field(default_factory=set)
    repeated_ids: int = 0
    out_of_order: int = 0
    first_ms: int | None = None
    last_ms: int | None = None

    @property
    def valid(self) -> int:
        """Lines that are valid events."""
        return sum(self.types.values())


def report(file: Path, limits: EventSettings) -> EventFileReport:
    """Reads the whole file; a bad line is counted and the first `EXAMPLES` are kept as (line, reason, what came)."""
    decoder = EventDecoder(limits.model_copy(update={"max_age_days": 40_000}))
    found, ids = EventFileReport(), set[str]()
    with file.open("rb") as lines:
        for found.lines, line in enumerate(lines, start=1):
            try:
                event = decoder.decode("", line.rstrip(b"\n"), NOW_MS)
            except BadRecord as error:
                found.bad[error.reason] += 1
                if len(found.bad_lines) < EXAMPLES:
                    found.bad_lines.append((found.lines, error.reason, error.came))
                continue
            found.types[event.event_type] += 1
            found.users.add(event.user_id)
            found.repeated_ids += event.event_id in ids
            ids.add(event.event_id)
            if event.event_type in KINDS:
                found.users_with_history.add(event.user_id)
                found.items.update([event.item_id] if event.item_id else event.items or ())
            time_ms = int(event.event_time)
            found.out_of_order += found.last_ms is not None and time_ms < found.last_ms
            found.first_ms = time_ms if found.first_ms is None else min(found.first_ms, time_ms)
            found.last_ms = time_ms if found.last_ms is None else max(found.last_ms, time_ms)
    return found
