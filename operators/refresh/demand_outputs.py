"""What the refresh operator tells the demand operator: outputs of the kind "demand", where `demand.enabled` is set."""

import operator
from collections import Counter, defaultdict
from collections.abc import Callable

import msgspec

from operators.demand.demand_logic import DemandEntry
from operators.demand.item_counts import LARGEST, Asked
from operators.records.contracts import Event, EventType, items_named
from operators.records.event_decode import key_bytes
from operators.refresh.refresh_records import Output
from operators.shopper.repetition import bought, repeated
from operators.shopper.state_layout import CONSENT_REFUSED, FLAGS_AT
from operators.shopper.user_state import is_return, version_of

# what an act counts in `interest`: about as rare as each is among the events of a shop
WEIGHTS: dict[EventType, float] = {"view": 1.0, "click": 1.0, "add_to_cart": 5.0, "purchase": 15.0}
MOST_ITEMS = 10  # of one event that count with their whole weight: a basket of hundreds is no shopper's
MOST_SHOWN = 250  # items of one impression that count
_FIELDS = {"view": 0, "click": 0, "add_to_cart": 1, "purchase": 2}  # of `Asked`
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
        # a return takes the act away again: else buying and returning in turns would lift an item
        acting = bought(before, sold) if returned else {*sold} - repeated(before, sold, event.event_type)
        acts = -share if returned else share
        clicks = float(event.event_type == "click" and self._with_impressions)
        again = Asked(*amounts)
        anew = again._replace(acts=acts, interest=acts * weight, clicks=clicks)
        for item in sold:  # nothing from here on fails: an event counts with all its items or with none
            self._add(item, second, anew if item in acting else again)

    def _add(self, item: str, second: int, asked: Asked) -> None:
        held = self._asked[item].get(second)
        self._asked[item][second] = asked if held is None else Asked(*map(operator.add, held, asked))

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
                    self._add(item, second, Asked(impressions=float(count)))
                else:
                    self.unknown += count
        if not self._asked:
            return []
        asked, self._asked = self._asked, defaultdict(dict)
        return [
            Output(
                "demand",
                key_bytes(item),
                _encode(DemandEntry([(1000 * second, *amounts) for second, amounts in by_second.items()])),
            )
            for item, by_second in asked.items()
        ]
