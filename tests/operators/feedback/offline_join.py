"""What the join must have found, from the whole log of a shopper at once: nested loops, no state, no timers.

One record is (event, broker's time). For each list that a record names:

- The list lives from its first record on. An impression prolongs its life to `purchase_ms` after it, and so does the
  first outcome of an item that no impression has shown. A later record than that counts for nothing.
- An outcome in the list's life counts for its item where a later impression shows the item, where none shows it, and
  where the newest impression before it is near enough.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from operators.feedback.example_comparison import Key
from operators.feedback.join_limits import Windows
from operators.records.contracts import Event

RANK = ["none", "click", "add_to_cart", "purchase"]
Record = tuple[Event, int]


class Fact(NamedTuple):
    """One item of a record of one list."""

    order: int
    kind: str
    item: str
    event_ms: int
    broker_ms: int


def offline_join(log: Sequence[Record], windows: Windows) -> dict[Key, str]:
    """The final label of each (list, item), and of each (event, item) without a list."""
    labels: dict[Key, str] = {}
    for event, _ in log:
        if event.event_type in RANK and not event.recommendation_id and (event.quantity or 1) > 0:
            for item in _items(event):
                labels["", f"{event.event_id} {item}"] = event.event_type
    for name in {event.recommendation_id for event, _ in log if event.recommendation_id}:
        facts = _life(_facts(log, name), windows)
        for item in {fact.item for fact in facts}:
            of_item = [fact for fact in facts if fact.item == item]
            counting = [RANK.index(fact.kind) for fact in of_item if _counts(fact, of_item, windows)]
            labels[name, item] = RANK[max(counting, default=0)]
    return labels


def shown_keys(log: Sequence[Record], windows: Windows) -> set[Key]:
    """Each (list, item) that was shown in the life of the list."""
    return {
        (name, fact.item)
        for name in {event.recommendation_id for event, _ in log if event.recommendation_id}
        for fact in _life(_facts(log, name), windows)
        if fact.kind == "impression"
    }


def _items(event: Event) -> list[str]:
    return list(dict.fromkeys(([event.item_id] if event.item_id else []) + (event.items or [])))


def _facts(log: Iterable[Record], name: str) -> list[Fact]:
    return [
        Fact(order, event.event_type, item, int(event.event_time), broker_ms)
        for order, (event, broker_ms) in enumerate(log)
        if event.recommendation_id == name and event.event_type in (*RANK, "impression")
        if (event.quantity or 1) > 0
        for item in _items(event)
    ]


def _life(facts: list[Fact], windows: Windows) -> list[Fact]:
    """The facts in the life of their list."""
    living: list[Fact] = []
    anchors: list[int] = []
    for fact in facts:
        if anchors and fact.broker_ms > max(anchors) + windows.purchase_ms:
            break
        if fact.kind == "impression" or all(other.item != fact.item for other in living):
            anchors.append(fact.broker_ms)
        living.append(fact)
    return living


def _counts(outcome: Fact, of_item: list[Fact], windows: Windows) -> bool:
    if outcome.kind == "impression":
        return False
    shown = [fact for fact in of_item if fact.kind == "impression"]
    before = [fact for fact in shown if fact.order < outcome.order]
    if not before or len(before) < len(shown):
        return True
    newest = before[-1]
    window_ms = windows.click_ms if outcome.kind == "click" else windows.purchase_ms
    near = [outcome.event_ms - newest.event_ms <= window_ms, outcome.broker_ms - newest.broker_ms <= window_ms]
    return any(near) and outcome.broker_ms - newest.broker_ms <= windows.purchase_ms
