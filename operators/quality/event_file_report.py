"""Checks a shop's file of events before it is used: counts, bad lines by reason, and remarks on suspicious contents."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.quality.robots import Activity
from operators.records.contracts import Event, items_named
from operators.records.field_effects import remarks_on
from operators.records.field_names import fields_with_values, left_out
from operators.records.record_file import RecordFile, event_file
from operators.shopper.user_state import KINDS
from operators.time_units import DAY_MS

LARGE_SHARE, MANY_USERS = 0.1, 10  # a larger share of one user is suspicious if there are this many users
EXAMPLES = 3


@dataclass
class EventFileReport:
    """What a file of JSON lines holds. `without_effect`: field and sentence -> events of which it is true."""

    file: RecordFile[Event]
    types: Counter[str] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    activity: Activity = field(default_factory=Activity)
    users_with_history: set[str] = field(default_factory=set)
    items: Counter[str] = field(default_factory=Counter)
    contents: dict[int, int] = field(default_factory=dict)  # hash of an event's id -> hash of its contents
    repeated_ids: int = 0
    other_contents: int = 0
    example_id: str = ""
    at_midnight: int = 0
    out_of_order: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    without_effect: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown_fields: Counter[str] = field(default_factory=Counter)

    def take(self, event: Event) -> None:
        """Counts an event."""
        self.types[event.event_type] += 1
        self.users[event.user_id] += 1
        self.activity.take(event)
        if event.event_type in KINDS:
            self.users_with_history.add(event.user_id)
            self.items.update(items_named(event))
        self._take_id(event)
        time_ms = int(event.event_time)
        self.at_midnight += time_ms % DAY_MS == 0
        self.out_of_order += self.last_ms is not None and time_ms < self.last_ms
        self.first_ms = time_ms if self.first_ms is None else min(self.first_ms, time_ms)
        self.last_ms = time_ms if self.last_ms is None else max(self.last_ms, time_ms)

    def _take_id(self, event: Event) -> None:
        name = hash(event.event_id)
        content = hash((event.event_type, event.user_id, event.event_time, *items_named(event)))
        if name not in self.contents:
            self.contents[name] = content
            return
        self.repeated_ids += 1
        if self.contents[name] != content:
            self.other_contents += 1
            self.example_id = self.example_id or event.event_id

    def take_fields(self, line: bytes, event: Event) -> None:
        """Counts the fields of a line that have no effect."""
        fields = fields_with_values(line)
        self.without_effect.update(remarks_on(event, fields))
        self.unknown_fields.update(name for name in fields if name not in Event.__struct_fields__)

    def remarks(self) -> list[str]:
        """A sentence for each valid but suspicious property."""
        sentences, valid = [], self.file.good
        if self.other_contents:
            sentences.append(
                f"{self.other_contents} events have the event_id of an earlier one and say something else, as {self.example_id!r}:"
                " the job drops them as duplicates. An order's id is not an event's: give each line an id of its own"
            )
        if valid > 1 and self.at_midnight == valid:
            sentences.append("all times are midnight: the order of a day's events, and so what came next, is not known")
        if len(self.users) == 1 and valid:
            sentences.append("all events are of one shopper: there is nothing to learn from the others")
        sentences += self._busy_users()
        return sentences + left_out(self.unknown_fields)

    def _busy_users(self) -> list[str]:
        """A sentence for each user with more events than a person, or with a large share of the events."""
        robots, totals = self.activity.robots(), self.activity.totals
        most = LARGE_SHARE * totals.total() if len(totals) >= MANY_USERS else totals.total()
        busy = [(user, count) for user, count in totals.most_common() if user in robots or count > most]
        return [
            f"{count / totals.total():.0%} of the events are of the user {user!r}: a robot, or an id of nobody? A training "
            + ("leaves them out" if user in robots else "learns from them: they are few")
            for user, count in busy[:EXAMPLES]
        ]


def report(
    file: Path,
    limits: EventSettings,
    on_good: Callable[[Event], object] | None = None,
    on_bad: Callable[[int, bytes, BadRecord], object] | None = None,
) -> EventFileReport:
    """Reads the whole file. `on_good` gets each event, `on_bad` each line that is none, with its number.

    Raises `EventsFileError` if the file is not JSON lines.
    """
    events = event_file(file, limits)
    events.on_bad = on_bad
    file_report = EventFileReport(events)
    for event in events:
        file_report.take(event)
        file_report.take_fields(events.line, event)
        if on_good is not None:
            on_good(event)
    return file_report
