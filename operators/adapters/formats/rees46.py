"""REES46's public data sets (multi-category store, cosmetics shop).

https://www.kaggle.com/datasets/mkechinov/ecommerce-behavior-data-from-multi-category-store
"""

from operators.adapters.event_names import EventNames
from operators.adapters.fields import Record, filled, first, text
from operators.adapters.order_lines import about

REQUIRED = ("event_time", "event_type", "product_id", "user_id")
KNOWN = {"view": "view", "cart": "add_to_cart", "remove_from_cart": "remove_from_cart", "purchase": "purchase"}


def looks(record: Record) -> bool:
    """Whether a record is a row of one of the data sets."""
    return {*REQUIRED} <= record.keys()


def events(record: Record, names: EventNames) -> list[Record]:
    """A row is one event."""
    if not (kind := names.of(text(record, "event_type"), KNOWN)):
        return []
    base = filled(
        event_time=first(record, "event_time"),
        user_id=first(record, "user_id"),
        session_id=first(record, "user_session"),
    )
    return about(kind, base, [filled(item_id=first(record, "product_id"), price=first(record, "price"))])
