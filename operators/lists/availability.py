"""Whether an item may be listed: one rule for the job, the scorer and the storefront.

An item that the catalogue holds may be listed while it is in stock, from `available_from` until before `available_until`.
An item that the catalogue does not hold may be listed unless it was delisted, and until the catalogue holds the share
`lists.catalogue_coverage` of the model's items: one test product on the topic must not empty all lists, and a delisted
item must not come back when its tombstone is compacted away.

`may_be_listed` takes one item's values, or arrays of all items'.
"""

from typing import Any, NamedTuple

import numpy as np

from operators.records.contracts import CatalogueItem

FOREVER = int(np.iinfo(np.int64).max)

Flags = Any  # bool, or bool [N]
Moments = Any  # int, or int64 [N]


class Offer(NamedTuple):
    """When a held item may be listed: `start` <= now < `end` (epoch ms) while it is in stock."""

    in_stock: bool
    start: int
    end: int


ANYTIME = Offer(True, 0, FOREVER)


def offer_of(item: CatalogueItem) -> Offer:
    """The offer of an item; a time of more than 64 bits counts as the last one that fits."""
    start, end = item.available_from, item.available_until
    return Offer(item.in_stock, _fitting(0 if start is None else start), _fitting(FOREVER if end is None else end))


def may_be_listed(
    held: Flags, delisted: Flags, in_stock: Flags, start: Moments, end: Moments, *, covered: bool, now_ms: int
) -> Flags:
    """The rule. `held`: by the catalogue; `delisted`: by a tombstone; the rest is the item's
    offer, `ANYTIME` where it is not held. `covered`: `Coverage.reached`."""
    return (held if covered else delisted ^ True) & in_stock & (start <= now_ms) & (now_ms < end)


def is_offered(item: CatalogueItem, now_ms: int) -> bool:
    """The rule for an item that the catalogue holds."""
    return bool(may_be_listed(True, False, *offer_of(item), covered=True, now_ms=now_ms))


class Coverage:
    """Counts the model's items that the catalogue holds."""

    def __init__(self, items: int, share: float) -> None:
        """`items`: how many items the model has."""
        self._needed = max(1, int(share * items))
        self.held = 0

    @property
    def reached(self) -> bool:
        """Whether items that the catalogue does not hold count as delisted."""
        return self.held >= self._needed


def _fitting(moment: int) -> int:
    return min(max(moment, -FOREVER), FOREVER)
