"""The join's state of one user as bytes: what it remembers of the user, and the waiting lists, each in a frame.

The head of a frame says when the list must be looked at, so that an event reads only the list that it names.
"""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from operators.errors import LiveshelfError

LAYOUT = 1
_REFUSED = 1  # bit of the flags
_HEAD = struct.Struct("<BBqIqH")  # layout, flags, erased_ms, epoch, wake_ms, closed lists
_FRAME = struct.Struct("<IQqqIH")  # bytes of the frame, and the other fields of `PackedList` in their order
FRAME_SIZE = _FRAME.size


class PackedList(NamedTuple):
    """A waiting list in its frame, whose head says the same as the other fields.

    `id_hash`: of its recommendation_id; `open_ms`: broker's time from which the click window of its oldest unwritten item
    counts, 0 where all are written; `last_ms`: broker's time of its last impression, from which the purchase window counts,
    or, while `items` is 0, when it was generated; `partition`: of that impression.
    """

    frame: bytes
    id_hash: int
    open_ms: int
    last_ms: int
    partition: int
    items: int

    @classmethod
    def of(cls, body: bytes, *fields: int) -> "PackedList":
        """A list in its frame; `fields` in their order."""
        return cls(_FRAME.pack(FRAME_SIZE + len(body), *fields) + body, *fields)


@dataclass(slots=True)
class JoinState:
    """A user's state. `closed`: the low 32 bits of the hashes of lists whose windows have closed, oldest first.

    `erased_ms`: broker's time of the last erasure, 0 for none; `epoch`: the lowest epoch of a valid list; `wake_ms`: the
    processing time for which a timer is set, 0 for none.
    """

    refused: bool = False
    erased_ms: int = 0
    epoch: int = 0
    wake_ms: int = 0
    closed: list[int] = field(default_factory=list)
    lists: list[PackedList] = field(default_factory=list)

    @classmethod
    def read(cls, state: bytes | None) -> "JoinState":
        """The state of bytes of `pack`; None is a new user. Raises `LiveshelfError` for other bytes."""
        if state is None:
            return cls()
        try:
            layout, flags, erased_ms, epoch, wake_ms, count = _HEAD.unpack_from(state)
            if layout != LAYOUT:
                raise _unreadable(state)
            closed = struct.unpack_from(f"<{count}I", state, _HEAD.size)
            lists, at = [], _HEAD.size + 4 * count
            while at < len(state):
                size, *fields = _FRAME.unpack_from(state, at)
                if size < FRAME_SIZE:
                    raise _unreadable(state)
                lists.append(PackedList(state[at : at + size], *fields))
                at += size
        except struct.error:
            raise _unreadable(state) from None
        if at != len(state):
            raise _unreadable(state)
        return cls(bool(flags & _REFUSED), erased_ms, epoch, wake_ms, [*closed], lists)

    def pack(self) -> bytes | None:
        """The bytes; None if nothing is remembered."""
        if not self.lists and self == _EMPTY:
            return None
        head = _HEAD.pack(LAYOUT, _REFUSED * self.refused, self.erased_ms, self.epoch, self.wake_ms, len(self.closed))
        closed = struct.pack(f"<{len(self.closed)}I", *self.closed)
        return b"".join((head, closed, *(packed.frame for packed in self.lists)))

    def place_of(self, id_hash: int) -> int | None:
        """The place of a list; None if it is not waiting."""
        return next((place for place, packed in enumerate(self.lists) if packed.id_hash == id_hash), None)

    def is_closed(self, id_hash: int) -> bool:
        """Whether the windows of a list have closed."""
        return id_hash & 0xFFFFFFFF in self.closed

    def close(self, id_hash: int, limit: int) -> None:
        """Remembers that the windows of a list have closed: of `limit` lists, the newest."""
        self.closed = [*self.closed, id_hash & 0xFFFFFFFF][-limit:]

    @property
    def size(self) -> int:
        """Bytes of the waiting lists."""
        return sum(len(packed.frame) for packed in self.lists)


_EMPTY = JoinState()


def _unreadable(state: bytes) -> LiveshelfError:
    return LiveshelfError(
        f"a state of the feedback join, of layout {LAYOUT}",
        f"layout {state[0] if state else 'of nothing'}, {len(state)} bytes",
        "start the job with the Liveshelf version that wrote this state, or newer",
    )
