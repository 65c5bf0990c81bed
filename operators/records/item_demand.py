"""The records of `shop.items.v1`: how much shoppers ask for an item."""

import msgspec

from operators.records.contracts import Id


class HourDemand(msgspec.Struct, kw_only=True, gc=False):
    """Events of one clock hour, which began at `began_at` (epoch ms, UTC). Nothing decays here."""

    began_at: int
    views: float
    carts: float
    purchases: float
    revenue: float


class ItemDemand(msgspec.Struct, kw_only=True, gc=False):
    """How much shoppers ask for an item, as of `counted_at` (epoch ms).

    `views` (views and clicks), `carts`, `purchases` and `revenue` are sums that halve every `demand.half_life_hours`.
    `acts` counts what shoppers did, where a shopper who does the same with the item again counts once; `interest` are these
    acts by their weight, and `recent` are `acts` that halve every `demand.recent_half_life_minutes`. `trend`: how many times
    as much as usual the item is asked for; 1 is as usual.
    `impressions` (lists that showed it) and `clicks` (shoppers who then clicked) halve as `views` do; both are 0 unless
    `exploration.enabled` is set.
    `hour` is the hour of the newest event, `previous_hour` the one before it. docs/demand.md has the rules.
    """

    item_id: Id
    views: float
    carts: float
    purchases: float
    revenue: float
    acts: float
    interest: float
    recent: float
    trend: float
    hour: HourDemand
    previous_hour: HourDemand
    counted_at: int
    impressions: float = 0.0
    clicks: float = 0.0
