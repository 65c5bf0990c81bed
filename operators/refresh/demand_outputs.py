"""What the refresh operator tells the demand operator: outputs of the kind "demand", where `demand.enabled` is set."""

import operator
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from operators.demand.demand_logic import DemandEntry
from operators.demand.item_counts import LARGEST, Asked
from operators.records.contracts import Event, EventType, items_named
from operators.records.event_decode import key_bytes
from operators.refresh.refresh_records import Output
from operators.shopper.repetition import bought_s, repeated
from operators.shopper.state_layout import CONSENT_REFUSED, FLAGS_AT
from operators.shopper.user_state import is_return, version_of

# what an act counts in `interest`: about as rare as each is among the events of a shop
WEIGHTS: dict[EventType, float] = {"view": 1.0, "click": 1.0, "add_to_cart": 5.0, "purchase": 15.0}
MOST_ITEMS = 10  # of one event that count with their whole weight: a basket of hundreds is no shopper's
MOST_SHOWN = 250  # items of one impression that count
_FIELDS = {"view": 0, "click": 0, "add_to_cart": 1, "purchase": 2}  # of `Asked`
Key = TypeVar("Key")
_encode = msgspec.msgpack.Encoder().encode


class DemandOutputs:
    """Gathers what the events of a batch ask for, by item and second, so that a popular item costs one output a batch.

    Events of shoppers who refused consent are not counted, nor items that the shop does not have: whoever invents ids must not
    fill the topic. `unknown` counts those. Impressions are counted by item and second without a look at the item: a list has
    twenty.
    """

    def __init__(self, currency: str, is_sold: Callable[[str], bool], *, with_impressions: bool = False) -> None:
        """`currency`: of the prices that count as revenue; empty: any. `is_sold`: whether the shop has an item of that name.
        `with_impressions`: impressions and clicks count too."""
        self._currency, self._is_sold = currency, is_sold
        self.unknown = 0
        self._asked: dict[str, dict[int, Asked]] = defaultdict(dict)
        self._returned: dict[str, dict[tuple[int, int], Asked]] = defaultdict(
            dict
        )  # by second of the return and of the purchase
        self._with_impressions = with_impressions
        self._shown: dict[int, Counter[str]] = defaultdict(Counter)  # by second

    def add(self, event: Event, before: bytes | None, after: bytes, broker_ms: int) -> None:
        """An event that was applied; `before` and `after`: the user's state. It counts at its own time, or at the broker's if
        that is earlier."""
        version = version_of(after)  # 1: `step` began anew, whatever state there was
        weight, second = WEIGHTS.get(event.event_type), min(int(event.event_time), broker_ms) // 1000
        if after[FLAGS_AT] & CONSENT_REFUSED:
            return
        if event.event_type == "impression" and self._with_impressions:
            self._shown[second].update(items_named(event)[:MOST_SHOWN])
        if weight is None:
            return
        before, items, returned = before if version > 1 else None, items_named(event), is_return(event)
        share = min(1.0, MOST_ITEMS / max(1, len(items)))
        amounts = [0.0] * 4
        amounts[_FIELDS[event.event_type]] = -1.0 if returned else 1.0
        if event.event_type == "purchase" and len(items) == 1:
            amounts[3] = self._revenue(event)
        sold = [item for item in items if self._is_sold(item)]
        self.unknown += len(items) - len(sold)
        again = Asked(*amounts)
        if returned:  # it takes the act away again: else buying and returning in turns would lift an item
            whole, bought = again._replace(acts=-share, interest=-share * weight), bought_s(before, sold)
            for item in sold:  # nothing from here on fails: an event counts with all its items or with none
                taken, bought_at = (whole, bought[item]) if item in bought else (again, 0)
                _merge(self._returned[item], (second, bought_at), taken)
            return
        acting = {*sold} - repeated(before, sold, event.event_type)
        clicks = float(event.event_type == "click" and self._with_impressions)
        anew = again._replace(acts=share, interest=share * weight, clicks=clicks)
        for item in sold:  # nor here
            _merge(self._asked[item], second, anew if item in acting else again)

    def _revenue(self, event: Event) -> float:
        """Of a purchase of one item. A basket's price is not any single item's."""
        if event.price is None or (
            self._currency and (event.currency or self._currency).strip().upper() != self._currency
        ):
            return 0.0
        quantity = 1.0 if event.quantity is None else event.quantity
        return max(-LARGEST, min(event.price * quantity, LARGEST))  # a return has a quantity below 0

    def of_batch(self) -> list[Output]:
        """The outputs of the events since the last call."""
        shown, self._shown = self._shown, defaultdict(Counter)
        for second, counts in shown.items():
            for item, count in counts.items():
                if self._is_sold(item):
                    _merge(self._asked[item], second, Asked(impressions=float(count)))
                else:
                    self.unknown += count
        asked, self._asked = self._asked, defaultdict(dict)
        returned, self._returned = self._returned, defaultdict(dict)
        entries = (
            (item, DemandEntry(_groups(asked.get(item, {})), _returns(returned.get(item, {}))))
            for item in dict.fromkeys((*asked, *returned))
        )
        return [Output("demand", key_bytes(item), _encode(entry)) for item, entry in entries]


def _merge(groups: dict[Key, Asked], key: Key, asked: Asked) -> None:
    held = groups.get(key)
    groups[key] = asked if held is None else Asked(*map(operator.add, held, asked))


def _groups(by_second: Mapping[int, Asked]) -> list[tuple[int, float, float, float, float, float, float, float, float]]:
    return [(1000 * second, *amounts) for second, amounts in by_second.items()]


def _returns(by_seconds: Mapping[tuple[int, int], Asked]) -> list[tuple[int, int, float, float, float, float]]:
    return [
        (1000 * second, 1000 * bought_at, taken.purchases, taken.revenue, taken.acts, taken.interest)
        for (second, bought_at), taken in by_seconds.items()
    ]
