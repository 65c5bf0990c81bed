"""The rule of `list_rows` for a reader of few of many lists: an arriving list is checked, but its items are not decoded.

The header of a record says that a job wrote it, and the list's order. Of such a list all fields but the items are decoded:
that checks the JSON to its end and builds no item. A list without the header is decoded whole, as any writer may have
written it (docs/decisions/0032-lists-are-decoded-when-read.md).
"""

import msgspec

from operators.kafka_io.list_rows import UNDECODABLE, OrderedRows, decode_list, order_of, refuse_older, value_of
from operators.kafka_io.row_rules import Refused, TopicRecord
from operators.records.contracts import Experiment, Model, Source


class ListOutline(msgspec.Struct, kw_only=True, gc=False):
    """A `RecommendationList` whose items are still JSON."""

    recommendation_id: str
    user_id: str
    epoch: int = 0
    version: int
    event_time: int
    event_id: str | None
    generated_at: int
    model: Model
    experiment: Experiment | None = None
    source: Source
    items: msgspec.Raw
    expires_at: int
    traceparent: str | None = None
    experiments: tuple[Experiment, ...] | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(ListOutline).decode
_ARRAY = ord("[")


class OutlineRows(OrderedRows[ListOutline]):
    """Rows are those of `ListRows`. A row may hold a list whose items cannot be decoded: `list_of_row` raises for it."""

    def decode(self, old: bytes | None, value: bytes, record: TopicRecord) -> ListOutline:
        """As `OrderedRows`."""
        order = order_of(record.headers)
        if order is None:
            decode_list(value, record.key)
            return decode_outline(value, record.key)
        refuse_older(old, order)
        outline = decode_outline(value, record.key)
        if (outline.epoch, outline.version) != order:
            raise Refused("not_a_list")
        return outline

    def read(self, row: bytes) -> ListOutline | None:
        """As `RowRule`."""
        try:
            return _decode(value) if (value := value_of(row)) else None
        except UNDECODABLE:
            return None


def decode_outline(value: bytes, key: bytes | None) -> ListOutline:
    """As `decode_list`, but for the items: they are JSON, and an array."""
    try:
        outline = _decode(value)
        is_of_key = outline.user_id.encode() == key
    except UNDECODABLE as error:
        raise Refused("not_a_list") from error
    if memoryview(outline.items)[0] != _ARRAY:
        raise Refused("not_a_list")
    if not is_of_key:
        raise Refused("not_its_key")
    return outline
