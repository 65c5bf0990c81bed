"""Google Analytics 4 as it lies in BigQuery (`events_YYYYMMDD`), exported as JSON lines or parquet.

https://support.google.com/analytics/answer/7029846 ([GA4] BigQuery Export schema)
"""

from typing import Any

from operators.adapters.event_names import RETURN, EventNames
from operators.adapters.fields import Record, filled, first, part, parts, text
from operators.adapters.order_lines import about

KNOWN = {
    "view_item": "view",
    "select_item": "click",
    "view_item_list": "impression",
    "add_to_cart": "add_to_cart",
    "remove_from_cart": "remove_from_cart",
    "purchase": "purchase",
    "refund": RETURN,
    "search": "search",
    "view_search_results": "search",
    "login": "identify",
    "sign_up": "identify",
}
_VALUES = ("string_value", "int_value", "double_value", "float_value")
_NOT_SET = "(not set)"


def looks(record: Record) -> bool:
    """Whether a record is a row of `events_*`."""
    return "event_name" in record and not record.keys().isdisjoint(
        ("event_timestamp", "event_params", "user_pseudo_id")
    )


def events(record: Record, names: EventNames) -> list[Record]:
    """An event by its `event_name`; `login` and `sign_up` where the row has both ids."""
    name = text(record, "event_name")
    user, device = first(record, "user_id"), first(record, "user_pseudo_id")
    kind = names.of(name, KNOWN)
    if kind == "identify" and not (user and device):
        names.unmapped[f"{name} without both user_id and user_pseudo_id"] += 1
        return []
    if not kind:
        return []
    params = {first(entry, "key"): first(part(entry, "value"), *_VALUES) for entry in parts(record, "event_params")}
    base = filled(
        event_time=first(record, "event_timestamp"),
        user_id=user or device,
        anonymous_id=device if user else None,
        session_id=params.get("ga_session_id"),
        query=params.get("search_term") if kind == "search" else None,
    )
    return about(kind, base, [_line(item, params) for item in parts(record, "items")])


def _line(item: Record, params: Record) -> Record:
    def of(*names: str) -> Any:
        return next((value for name in names if (value := first(item, name)) not in (None, _NOT_SET)), None)

    return filled(
        item_id=first(item, "item_id"),
        price=of("price"),
        quantity=of("quantity"),
        currency=params.get("currency") if of("price") is not None else None,
        placement=of("item_list_id", "item_list_name"),
        position=of("item_list_index"),
    )
