"""Which events a champion has learned, and which of the others a candidate learns; the newest are kept for the gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from model_export.data.dataset import WISHES, Wishes
from model_export.follow.stored_records import EARLIER, StoredEvent
from operators.errors import EventsFileError
from operators.records.contracts import EVENTS, Event, items_named
from operators.shopper.features import Vocabulary

MARGIN = 20  # of so many questions or users, one more than needed
GATE_SHARE = 0.1  # of the events that the champion has not learned: the newest, for the gate


class Learned:
    """What a manifest says of its bundle's training: the time before which its events lie, and the offset of each partition.

    On a topic that was created anew, as by a restore, the offsets mean other records, and the time alone tells that they are
    new. It also decides where the manifest names no offset.
    """

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        offsets = manifest.get("trained_to", {}).get(EVENTS, {})
        self._offsets = {int(partition): int(offset) for partition, offset in offsets.items()}
        self._until_ms = int(manifest.get("trained_on", {}).get("to_ms", 0))

    def has(self, stored: StoredEvent) -> bool:
        """Whether the bundle's weights have learned this event."""
        offset = self._offsets.get(stored.partition)
        return _time_ms(stored) < self._until_ms and (offset is None or stored.offset < offset)


class WindowSize(NamedTuple):
    """How many questions a window of the gate holds, and of how many users."""

    questions: int = 0
    users: int = 0

    def with_margin(self) -> "WindowSize":
        """A size that is sure to hold this one where the gate asks: it leaves out a few questions that `questions_of` counts,
        such as those of a shopper who took their only item out again."""
        return WindowSize(*(number + number // MARGIN for number in self))

    def holds(self, least: "WindowSize") -> bool:
        """Whether neither number is smaller."""
        return self.questions >= least.questions and self.users >= least.users


@dataclass(frozen=True)
class Cut:
    """Where a round's lesson ends. `newest_ms`: the gate's events begin here, epoch ms; `trained_to`: partition -> offset;
    `learned` and `new`: places in the list of events, by time; `window`: what the gate's events hold."""

    newest_ms: int
    trained_to: dict[int, int]
    learned: set[int]
    new: set[int]
    window: WindowSize


def cut(
    events: Sequence[StoredEvent],
    learned: Learned,
    read_to: Mapping[int, int],
    questions: Mapping[int, str] | None = None,
    least: WindowSize = WindowSize(),
    from_ms: int = 0,
) -> Cut:
    """`events` by time; `read_to`: partition -> the next offset of the history; `questions`: the places of events that the gate
    can ask of, with their users. Raises `EventsFileError` if there is nothing new from `from_ms` on (epoch ms).

    The gate gets the newest tenth of what is new. If that holds fewer questions than `least`, it gets so many as that, but
    at most half of what is new: the other half is to be learned.

    A partition's lesson ends before its first event of the gate, so all later events of the partition wait, whatever
    their time: offsets can only say "all before". Of `EARLIER` events the time decides.
    """
    before = {place for place, stored in enumerate(events) if learned.has(stored)}
    waiting = [place for place in range(len(events)) if place not in before and _time_ms(events[place]) >= from_ms]
    if not waiting:
        raise EventsFileError("events that the champion has not learned", "none", "wait for the next ones")
    asked = questions or {}
    newest_ms = _time_ms(events[waiting[_window_start(waiting, asked, least)]])
    trained_to = dict(read_to)
    for place in waiting:
        stored = events[place]
        if stored.partition != EARLIER and _time_ms(stored) >= newest_ms:
            trained_to[stored.partition] = min(stored.offset, trained_to.get(stored.partition, stored.offset))
    new = {place for place in waiting if _ends_before(events[place], newest_ms, trained_to)}
    users = [user for place, user in asked.items() if _time_ms(events[place]) >= newest_ms]
    return Cut(newest_ms, trained_to, before, new, WindowSize(len(users), len({*users})))


def questions_of(events: Sequence[Event], words: Vocabulary, rating_middle: float) -> list[bool]:
    """Of each event whether the gate can ask what came: it wants a known item, and the shopper wanted one before. `events` by
    time."""
    wishes, begun, asked = Wishes(rating_middle), set[str](), list[bool]()
    for event in events:
        wanted = any(map(words.row, wishes.of(event)))
        asked.append(wanted and event.user_id in begun)
        if event.event_type in WISHES and any(map(words.row, items_named(event))):
            begun.add(event.user_id)
    return asked


def _window_start(waiting: Sequence[int], questions: Mapping[int, str], least: WindowSize) -> int:
    """The place in `waiting` where the gate's events begin."""
    tenth, half = int(len(waiting) * (1 - GATE_SHARE)), len(waiting) - len(waiting) // 2
    count, users = 0, set[str]()
    for start in range(len(waiting) - 1, half - 1, -1):
        if (user := questions.get(waiting[start])) is not None:
            count += 1
            users.add(user)
        if start <= tenth and WindowSize(count, len(users)).holds(least):
            return start
    return min(tenth, half)


def _ends_before(stored: StoredEvent, newest_ms: int, trained_to: Mapping[int, int]) -> bool:
    if stored.partition == EARLIER:
        return _time_ms(stored) < newest_ms
    return stored.offset < trained_to[stored.partition]


def _time_ms(stored: StoredEvent) -> int:
    return int(stored.event.event_time)
