"""What the refresh operator tells the feedback join: one message of bytes each, for one user.

The join must know how far each partition of the events was read, records of other users included, before it closes a
window (`partition_clocks.py`). The refresh operator sends that once a batch, after all other entries of the batch, as an
entry of the user whose record came last: only users of this subtask may have entries in its keyed stream.
"""

import msgspec

from operators.feedback.feedback_join import FeedbackJoin
from operators.feedback.join_records import Forgotten, Joined, Stamp
from operators.feedback.partition_clocks import PartitionClocks
from operators.records.contracts import Event, EventType

# events of other types change no list that waits
JOINED_TYPES: frozenset[EventType] = frozenset(("impression", "click", "add_to_cart", "purchase", "consent"))


class ServedEntry(msgspec.Struct, array_like=True, tag=0, frozen=True, gc=False):
    """A list went out; `record`: as `pack_served` writes it."""

    record: bytes


class EventEntry(msgspec.Struct, array_like=True, tag=1, frozen=True, gc=False):
    """An event of `JOINED_TYPES` was applied; duplicates and events from before an erasure are not."""

    event: Event
    partition: int
    broker_ms: int


class ForgottenEntry(msgspec.Struct, array_like=True, tag=2, frozen=True, gc=False):
    """The user was erased. Fields as in `Forgotten`."""

    broker_ms: int
    epoch: int


class ClocksEntry(msgspec.Struct, array_like=True, tag=3, frozen=True, gc=False):
    """All records up to here were read: partition -> newest broker time of its records."""

    newest_ms: dict[int, int]


class ArmsEntry(msgspec.Struct, array_like=True, tag=4, frozen=True, gc=False):
    """The arms of the running experiments from here on: (experiment, arm). For metrics alone."""

    arms: list[tuple[str, str]]


JoinEntry = ServedEntry | EventEntry | ForgottenEntry | ClocksEntry | ArmsEntry
encode_entry = msgspec.msgpack.Encoder().encode
decode_entry = msgspec.msgpack.Decoder(JoinEntry).decode


def apply_entry(
    join: FeedbackJoin, clocks: PartitionClocks, user: str, state: bytes | None, entry: JoinEntry, now_ms: int
) -> Joined | None:
    """What an entry causes; None: nothing. `state`: the user's; `now_ms`: processing time, epoch ms."""
    if isinstance(entry, EventEntry):
        return join.on_event(user, state, entry.event, Stamp(entry.partition, entry.broker_ms), now_ms)
    if isinstance(entry, ServedEntry):
        return join.on_served(user, state, entry.record, now_ms)
    if isinstance(entry, ForgottenEntry):
        return join.on_forgotten(user, state, Forgotten(entry.broker_ms, entry.epoch), now_ms)
    if isinstance(entry, ClocksEntry):
        for partition, newest_ms in entry.newest_ms.items():
            clocks.read(partition, newest_ms, now_ms)
    return None
