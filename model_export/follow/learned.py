"""Which events a champion has learned, and which of the others a candidate learns; the newest are kept for the gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_export.follow.stored_records import EARLIER, StoredEvent
from operators.errors import EventsFileError
from operators.records.contracts import EVENTS

GATE_SHARE = 0.1  # of the events that the champion has not learned: the newest, for the gate
OLD_SHARE = 0.1  # of the events that it has: the oldest, for the gate too


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


@dataclass(frozen=True)
class Cut:
    """Where a round's lesson ends. `newest_ms`: the gate's events begin here, epoch ms; `trained_to`: partition -> offset;
    `learned` and `new`: places in the list of events, by time; `old_ms`: the gate's old window, from and to."""

    newest_ms: int
    trained_to: dict[int, int]
    learned: set[int]
    new: set[int]
    old_ms: tuple[int, int]


def cut(events: Sequence[StoredEvent], learned: Learned, read_to: Mapping[int, int]) -> Cut:
    """`events` by time; `read_to`: partition -> the next offset of the history. Raises `EventsFileError` if there
    is nothing new.

    A partition's lesson ends before its first event of the gate, so all later events of the partition wait, whatever
    their time: offsets can only say "all before". Of `EARLIER` events the time decides.
    """
    before = {place for place, stored in enumerate(events) if learned.has(stored)}
    waiting = [place for place in range(len(events)) if place not in before]
    if not waiting:
        raise EventsFileError("events that the champion has not learned", "none", "wait for the next ones")
    newest_ms = _time_ms(events[waiting[int(len(waiting) * (1 - GATE_SHARE))]])
    trained_to = dict(read_to)
    for place in waiting:
        stored = events[place]
        if stored.partition != EARLIER and _time_ms(stored) >= newest_ms:
            trained_to[stored.partition] = min(stored.offset, trained_to.get(stored.partition, stored.offset))
    new = {place for place in waiting if _ends_before(events[place], newest_ms, trained_to)}
    old = sorted(before) or waiting
    old_ms = (_time_ms(events[old[0]]), _time_ms(events[old[int(len(old) * OLD_SHARE)]]) + 1)
    return Cut(newest_ms, trained_to, before, new, old_ms)


def _ends_before(stored: StoredEvent, newest_ms: int, trained_to: Mapping[int, int]) -> bool:
    if stored.partition == EARLIER:
        return _time_ms(stored) < newest_ms
    return stored.offset < trained_to[stored.partition]


def _time_ms(stored: StoredEvent) -> int:
    return int(stored.event.event_time)
