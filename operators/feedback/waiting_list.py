"""One waiting list: when its items were shown, and the best outcome of each so far."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from operators.feedback.join_limits import Windows
from operators.feedback.join_state import FRAME_SIZE, PackedList
from operators.feedback.served_record import list_hash, read_head
from operators.records.contracts import Label

LABELS: tuple[Label, ...] = ("none", "click", "add_to_cart", "purchase")  # from the worst to the best
CLICK = 1
NO_POSITION = 0xFFFF
MAX_ITEMS = (
    500  # of one list, shown or acted on: as many as one event names at most, and five times as many as a list has
)
MAX_IMPRESSIONS = 250  # two for each item at most are kept: a place must fit into a byte

_HEAD = struct.Struct("<IHB")  # bytes of the served record, bytes of the id, impressions
_IMPRESSION = struct.Struct("<qqBH")  # shown_ms, broker_ms, missing, bytes of the placement
_ITEM = struct.Struct("<HHBBB")  # bytes of the id, position, first, last, label | late << 2 | written << 4


@dataclass(slots=True)
class Impression:
    """A showing of some items: its event time and broker's time.

    `missing`: no impression came for these items; the times are those of their first outcome.
    """

    shown_ms: int
    broker_ms: int
    placement: str | None
    missing: bool = False


@dataclass(slots=True)
class ShownItem:
    """An item of the list. `first` and `last`: places of its first and newest impression.

    `label` and `late` are places in `LABELS`: the best outcome within its window, and the best one after it. `written`:
    how many revisions of its example went out. `changed`: the example differs from the last of them.
    """

    item_id: str
    position: int | None
    first: int
    last: int
    label: int = 0
    late: int = 0
    written: int = 0
    changed: bool = False

    def react(self, label: int) -> None:
        """Raises the label to that of an outcome in time."""
        if label > self.label:
            self.label, self.changed = label, True


@dataclass(slots=True)
class WaitingList:
    """A list that was shown, or acted on. `served`: the record of `pack_served`; None if the list is not known."""

    recommendation_id: str
    served: bytes | None = None
    partition: int = 0
    impressions: list[Impression] = field(default_factory=list)
    items: dict[str, ShownItem] = field(default_factory=dict)

    @classmethod
    def read(cls, packed: PackedList) -> "WaitingList":
        """The list of bytes of `pack`."""
        body, at = packed.frame, FRAME_SIZE + _HEAD.size
        served_size, id_size, impressions = _HEAD.unpack_from(body, FRAME_SIZE)
        served = body[at : at + served_size] or None
        at += served_size
        name = read_head(served).recommendation_id if served else body[at : at + id_size].decode()
        waiting, at = cls(name, served, packed.partition), at + id_size
        for _ in range(impressions):
            shown_ms, broker_ms, missing, size = _IMPRESSION.unpack_from(body, at)
            begin, at = at + _IMPRESSION.size, at + _IMPRESSION.size + size
            waiting.impressions.append(Impression(shown_ms, broker_ms, body[begin:at].decode() or None, bool(missing)))
        for _ in range(packed.items):
            size, position, first, last, bits = _ITEM.unpack_from(body, at)
            begin, at = at + _ITEM.size, at + _ITEM.size + size
            item_id = body[begin:at].decode()
            waiting.items[item_id] = ShownItem(
                item_id,
                None if position == NO_POSITION else position,
                first,
                last,
                bits & 3,
                bits >> 2 & 3,
                bits >> 4,
            )
        return waiting

    def has_shown(self, item_id: str) -> bool:
        """Whether an impression showed the item."""
        item = self.items.get(item_id)
        return item is not None and not self.impressions[item.first].missing

    def show(self, item_ids: Iterable[str], start: int, impression: Impression) -> int:
        """Adds an impression of items at the positions from `start` on. Returns how many were not shown before."""
        place, new = len(self.impressions), 0
        self.impressions.append(impression)
        for position, item_id in enumerate(item_ids, start):
            item = self.items.get(item_id)
            if item is None:
                self.items[item_id] = ShownItem(item_id, _fitting(position), place, place)
                new += 1
                continue
            item.last = place
            if self.impressions[item.first].missing:
                item.first, item.changed = place, True
                if not item.written:  # the position is part of the example's id
                    item.position = _fitting(position)
                new += 1
            item.react(item.late)  # an outcome before this impression belongs to it: it was sent late
        return new

    def act(self, item_id: str, label: int, position: int | None, outcome: Impression, windows: Windows) -> bool:
        """Applies an outcome. Returns whether it was in time. `position`: of an item that no impression showed."""
        item = self.items.get(item_id)
        if item is None:
            if outcome not in self.impressions:
                self.impressions.append(outcome)
            place = self.impressions.index(outcome)
            item = self.items[item_id] = ShownItem(
                item_id, None if position is None else _fitting(position), place, place
            )
        last = self.impressions[item.last]
        in_time = last.missing or _in_window(last, outcome, label, windows)
        if in_time:
            item.react(label)
        else:
            item.late = max(item.late, label)
        return in_time

    def pack(self, last_ms: int = 0) -> PackedList:
        """The list with its frame. `last_ms`: the time of a list without items."""
        self._drop_unused()
        served, id_text = self.served or b"", b"" if self.served else self.recommendation_id.encode()
        parts = [_HEAD.pack(len(served), len(id_text), len(self.impressions)), served, id_text]
        for impression in self.impressions:
            placement = (impression.placement or "").encode()
            parts += (
                _IMPRESSION.pack(impression.shown_ms, impression.broker_ms, impression.missing, len(placement)),
                placement,
            )
        open_ms = 0
        for item in self.items.values():
            item_id = item.item_id.encode()
            bits = item.label | item.late << 2 | item.written << 4
            position = NO_POSITION if item.position is None else item.position
            parts += (_ITEM.pack(len(item_id), position, item.first, item.last, bits), item_id)
            if not item.written:
                first_ms = self.impressions[item.first].broker_ms
                open_ms = min(open_ms or first_ms, first_ms)
        last_ms = max((impression.broker_ms for impression in self.impressions), default=last_ms)
        return PackedList.of(
            b"".join(parts), list_hash(self.recommendation_id), open_ms, last_ms, self.partition, len(self.items)
        )

    def _drop_unused(self) -> None:
        """Drops impressions that are neither the first nor the newest of an item."""
        used = sorted({place for item in self.items.values() for place in (item.first, item.last)})
        if len(used) == len(self.impressions):
            return
        new_place = {place: number for number, place in enumerate(used)}
        self.impressions = [self.impressions[place] for place in used]
        for item in self.items.values():
            item.first, item.last = new_place[item.first], new_place[item.last]


def _fitting(position: int) -> int | None:
    """The position, or None if the state has no room for it."""
    return position if 0 <= position < NO_POSITION else None


def _in_window(shown: Impression, outcome: Impression, label: int, windows: Windows) -> bool:
    """Whether an outcome counts for an impression: the smaller of the two distances, by event time and by the broker's time,
    is within the window of its type, and the impression still waits by the broker's time."""
    by_broker = outcome.broker_ms - shown.broker_ms
    window_ms = windows.click_ms if label == CLICK else windows.purchase_ms
    return min(by_broker, outcome.shown_ms - shown.shown_ms) <= window_ms and by_broker <= windows.purchase_ms
