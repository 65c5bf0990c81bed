"""The topic of demand as rows of a local table. A row is the newest readable record of an item."""

import msgspec

from operators.demand.item_counts import LARGEST
from operators.kafka_io.row_rules import Refused, TopicRecord
from operators.records.event_decode import key_text
from operators.records.item_demand import ItemDemand
from operators.time_units import HOUR_MS

AHEAD_MS = HOUR_MS  # `counted_at` may lie so far ahead of this machine's clock
_LAST_MS = 2**53  # whole numbers up to here are floats
_decode = msgspec.json.Decoder(ItemDemand).decode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def read_demand(value: bytes, latest_ms: int = _LAST_MS) -> ItemDemand | None:
    """The record; None if it cannot be read, or holds sums or a time that the job cannot have written."""
    try:
        demand = _decode(value)
    except _UNREADABLE:
        return None
    sums = demand.interest, demand.acts, demand.recent, demand.impressions, demand.clicks
    return demand if all(0 <= number <= LARGEST for number in sums) and 0 <= demand.counted_at <= latest_ms else None


class ItemDemandRows:
    """A `RowRule`: an unreadable record leaves the row unchanged. A record that leaves the topic takes its row along at the
    next rereading; its counts have decayed by then."""

    sweeps = False
    gone: ItemDemand | None = None

    def take(self, old: bytes | None, record: TopicRecord, now_ms: int) -> tuple[bytes | None, ItemDemand | None]:
        """As `RowRule`."""
        if record.value is None:
            return None, None
        if (demand := read_demand(record.value, now_ms + AHEAD_MS)) is None:
            raise Refused("not_a_demand")
        if demand.item_id != key_text(record.key):
            raise Refused("key_mismatch")
        return record.value, demand

    def head(self, row: bytes) -> bytes:
        """As `RowRule`: a record replaces any row."""
        return b""

    def read(self, row: bytes) -> ItemDemand | None:
        """As `RowRule`."""
        return read_demand(row)

    def stale(self, row: bytes, now_ms: int, tombstones_ms: int) -> bool:
        """As `RowRule`."""
        return False
