"""Position bias: how likely a shopper looks at each place of a list, and what a click at a place therefore weighs.

Without weights a model that learns from clicks on its own lists learns the order of the lists: what stands first is clicked
most. The position-based model says that an item is clicked if its place is looked at and the item is wanted:
P(click) = examined(place) * wanted(item) (Richardson et al., WWW 2007). Both are estimated from the examples alone: in turn,
each so that the clicks of every item, and of every place, are those that the product expects (clicks over expected clicks:
Zhang and Jones, WWW 2007). Items that were shown at several places tell the two apart. A click weighs 1 / examined(place) (Joachims et al., WSDM 2017).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model_export.follow.stored_records import Shown
from operators.records.contracts import Event

PLACES = 50  # later ones count as the last
LEAST_CLICKS = 100  # with fewer every place counts as examined
LEAST = 0.1  # probability: no click weighs more than ten of the first place
ROUNDS = 50
PRIOR = 2.0  # looks at an item that count at the mean rate, so that one click does not make an item wanted


def examination(shown: Sequence[Shown]) -> npt.NDArray[np.float64]:
    """float64 [PLACES]: the probability that a place is looked at, the highest is 1, none below `LEAST`."""
    clicked = np.array([one.taken_up for one in shown], dtype=bool)
    if clicked.sum() < LEAST_CLICKS:
        return np.ones(PLACES)
    place = np.minimum([one.position for one in shown], PLACES - 1)
    numbers: dict[str, int] = {}
    item = np.array([numbers.setdefault(one.item_id, len(numbers)) for one in shown])
    shown_at, clicks_at = np.bincount(place, minlength=PLACES), np.bincount(place, clicked, PLACES)
    clicks_of, mean = np.bincount(item, clicked), clicked.mean()
    examined = np.ones(PLACES)
    for _ in range(ROUNDS):
        wanted = (clicks_of + PRIOR * mean) / (np.bincount(item, examined[place]) + PRIOR)
        examined = clicks_at / np.maximum(np.bincount(place, wanted[item], PLACES), 1e-9)
    examined[shown_at == 0] = examined[np.flatnonzero(shown_at)[-1]]  # never shown: as the last place that was
    clipped: npt.NDArray[np.float64] = np.clip(examined / examined.max(), LEAST, 1.0)
    return clipped


class ClickWeights:
    """Weights of events. Those of clicks on lists have the mean 1, so that lists count as much as without weights."""

    def __init__(self, shown: Sequence[Shown]) -> None:
        self._examined = examination(shown)
        self._places = {(one.user_id, one.recommendation_id, one.item_id): one.position for one in shown}
        self.is_learned = bool((self._examined < 1).any())

    def of(self, events: Sequence[Event], items: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [B]: of each event and the item that it wanted; 1 where the event names no list."""
        places = [self._place(event, item) for event, item in zip(events, items, strict=True)]
        weights = np.array([1.0 if place is None else 1 / self._examined[place] for place in places], dtype=np.float32)
        listed = np.array([place is not None for place in places], dtype=bool)
        if listed.any():
            weights[listed] /= weights[listed].mean()
        return weights

    def _place(self, event: Event, item: str) -> int | None:
        if event.recommendation_id is None:
            return None
        place = self._places.get((event.user_id, event.recommendation_id, item), event.position)
        return None if place is None or place < 0 else min(place, PLACES - 1)
