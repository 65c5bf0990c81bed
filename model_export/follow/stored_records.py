"""What the trainer keeps of events and examples, and what it reads of each record of a topic."""

from typing import Protocol

import msgspec
import xxhash

from operators.records.contracts import Event, Example

EARLIER = -1  # in place of the partition: of a topic that was since created anew, so that the offset says nothing


class TopicRecord(Protocol):
    """A record as a Kafka consumer gives it. `timestamp`: the broker's time, epoch ms."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int


class StoredEvent(msgspec.Struct, array_like=True, gc=False):
    """An event and its place on the topic."""

    partition: int
    offset: int
    event: Event


class Shown(msgspec.Struct, array_like=True, gc=False):
    """What an example says: an item of a list at a place that a shopper saw, and whether they took it up."""

    example_id: str
    revision: int
    user_id: str
    recommendation_id: str
    item_id: str
    position: int
    taken_up: bool

    @classmethod
    def of(cls, example: Example) -> "Shown | None":
        """None for an example that says nothing about a place: an organic one, or one whose item was not seen."""
        if example.recommendation_id is None or example.position is None or example.shown_at is None:
            return None
        return cls(
            example.example_id,
            example.revision,
            example.user_id,
            example.recommendation_id,
            example.item_id,
            example.position,
            example.label != "none",
        )


class Segment(msgspec.Struct, gc=False):
    """A file of the history, in the order in which the records came."""

    events: list[StoredEvent] = []
    shown: list[Shown] = []

    def __len__(self) -> int:
        return len(self.events) + len(self.shown)

    def without(self, users: set[str]) -> "Segment":
        """The records of all users but those with these `user_mark`s."""
        return Segment(
            [stored for stored in self.events if user_mark(stored.event.user_id) not in users],
            [shown for shown in self.shown if user_mark(shown.user_id) not in users],
        )


def user_mark(user_id: str) -> str:
    """The name under which the history remembers that a user was erased or refused: no id stays of them."""
    return xxhash.xxh3_64_hexdigest(user_id.encode("utf-8", "surrogateescape"))
