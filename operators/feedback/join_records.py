"""The input and output of the feedback join."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from operators.feedback.example_writer import written
from operators.feedback.join_state import JoinState
from operators.feedback.served_record import experiments_of, low_hash, read_served
from operators.feedback.waiting_list import ShownItem, WaitingList
from operators.records.contracts import Experiment

# what the join counts: examples (the first three), and why a record or list gave none or one that lacks something
COUNTED = (
    "example", "correction", "organic",
    "no_impression", "item_not_on_list", "unknown_list",
    "repeated_impression", "impression_without_list", "too_many_impressions", "too_many_items",
    "outside_window", "closed_list", "return",
    "unseen_list", "evicted_list", "forgotten_list", "refused_consent", "erased",
)  # fmt: skip

REVENUE = "revenue"
OUTCOMES_OF_ARMS = ("impression", "click", "add_to_cart", "purchase", REVENUE)


class Stamp(NamedTuple):
    """Where a record came from: its partition, and the broker's time."""

    partition: int
    broker_ms: int


class Forgotten(NamedTuple):
    """A user whose state ends: erased, or a guest who became a known user. `epoch`: the lowest of a list from now on."""

    broker_ms: int
    epoch: int = 0


class ArmOutcome(NamedTuple):
    """What shoppers of an arm did: so many more items with an impression or an outcome, or so much revenue. `outcome`: one of
    `OUTCOMES_OF_ARMS`."""

    experiment: Experiment
    outcome: str
    amount: float


@dataclass(slots=True)
class Joined:
    """What one input causes: the state to keep (None: clear it), examples, counts by `COUNTED`, what arms achieved, and the
    processing time for which to set a timer (epoch ms; None: no further timer)."""

    state: bytes | None
    examples: list[bytes] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    wake_ms: int | None = None
    of_arms: list[ArmOutcome] = field(default_factory=list)


@dataclass(slots=True)
class JoinTurn:
    """One input of a user while it is applied. `next_look_ms`: when to look at the list that it changed."""

    user: str
    state: JoinState
    now_ms: int
    next_look_ms: int | None = None
    examples: list[bytes] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    of_arms: list[ArmOutcome] = field(default_factory=list)

    def count_for_arms(self, waiting: WaitingList, outcome: str, items: Iterable[str], revenue: float = 0.0) -> None:
        """Counts items that were on the list, for the arms in which its user was when the list was made."""
        if waiting.served is None or not (experiments := experiments_of(waiting.served)):
            return
        listed = int(np.isin([low_hash(item) for item in items], read_served(waiting.served).items).sum())
        if listed:
            self.of_arms += [ArmOutcome(experiment, outcome, listed) for experiment in experiments]
            if revenue:
                self.of_arms += [ArmOutcome(experiment, REVENUE, revenue) for experiment in experiments]

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
