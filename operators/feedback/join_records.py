"""The input and output of the feedback join."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from operators.feedback.example_writer import written
from operators.feedback.join_state import JoinState
from operators.feedback.waiting_list import ShownItem, WaitingList

# what the join counts: examples (the first three), and why a record or list gave none or one that lacks something
COUNTED = (
    "example", "correction", "organic",
    "no_impression", "item_not_on_list", "unknown_list",
    "repeated_impression", "impression_without_list", "too_many_impressions",
    "outside_window", "closed_list", "return",
    "unseen_list", "evicted_list", "forgotten_list", "refused_consent", "erased",
)  # fmt: skip


class Stamp(NamedTuple):
    """Where a record came from: its partition, and the broker's time."""

    partition: int
    broker_ms: int


class Forgotten(NamedTuple):
    """A user whose state ends: erased, or a guest who became a known user. `epoch`: the lowest of a list from now on."""

    broker_ms: int
    epoch: int = 0


@dataclass(slots=True)
class Joined:
    """What one input causes: the state to keep (None: clear it), examples, counts by `COUNTED`, and the processing time for
    which to set a timer (epoch ms; None: no further timer)."""

    state: bytes | None
    examples: list[bytes] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    wake_ms: int | None = None


@dataclass(slots=True)
class JoinTurn:
    """One input of a user while it is applied. `next_look_ms`: when to look at the list that it changed."""

    user: str
    state: JoinState
    now_ms: int
    next_look_ms: int | None = None
    examples: list[bytes] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def write(self, waiting: WaitingList, items: Iterable[ShownItem]) -> None:
        """Adds the next revision of the examples of some items."""
        for example in written(self.user, waiting, items):
            self.examples.append(example.value)
            if example.item.written > 1:
                self.counts["correction"] += 1
                continue
            self.counts["example"] += 1
            self.counts["item_not_on_list"] += example.on_list is False
            self.counts["no_impression"] += waiting.impressions[example.item.first].missing
