"""Which of the examples on the topic are valid: later revisions correct earlier ones."""

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Revised(Protocol):
    """What decides which of an example's revisions is valid."""

    example_id: str
    revision: int


Read = TypeVar("Read", bound=Revised)


def final_examples(examples: Iterable[Read]) -> dict[str, Read]:
    """`example_id` -> the example with its highest revision, in the order in which the ids come first.

    Of two with the same revision the first one stays. Holds one example of each id in memory. An id of which a later revision
    may still come is among them: read on until `feedback.purchase_minutes` after `shown_at`.
    """
    final: dict[str, Read] = {}
    for example in examples:
        known = final.get(example.example_id)
        if known is None or example.revision > known.revision:
            final[example.example_id] = example
    return final
