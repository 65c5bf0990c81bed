"""Amazon Personalize: the CSV of an item interactions dataset, and calls of `PutEvents`.

https://docs.aws.amazon.com/personalize/latest/dg/interactions-datasets.html
https://docs.aws.amazon.com/personalize/latest/dg/API_UBS_PutEvents.html
"""

from typing import Any

from operators.adapters.event_names import EventNames
from operators.adapters.fields import Record, filled, first, part, parts
from operators.adapters.order_lines import about

REQUIRED = ("user_id", "item_id", "timestamp")
_COLUMNS = {  # of `PutEvents` -> of the CSV
    "eventId": "event_id",
    "eventType": "event_type",
    "eventValue": "event_value",
    "itemId": "item_id",
    "sentAt": "timestamp",
    "impression": "impression",
    "recommendationId": "recommendation_id",
}


def looks(record: Record) -> bool:
    """Whether a record is a row of interactions, or a call of `PutEvents`."""
    return "eventList" in record or ({*REQUIRED} <= record.keys() and "event" not in record)


def events(record: Record, names: EventNames, event_type: str | None = None) -> list[Record]:
    """An interaction, and before it the impression that the row names. `event_type`: of a file without EVENT_TYPE."""
    if "eventList" not in record:
        return _interaction(record, names, event_type)
    shopper = filled(user_id=first(record, "userId", "sessionId"), session_id=first(record, "sessionId"))
    found: list[Record] = []
    for entry in parts(record, "eventList"):
        entry = part(entry, "properties") | entry
        row = {ours: entry[theirs] for theirs, ours in _COLUMNS.items() if theirs in entry}
        found += _interaction(shopper | row, names, event_type)
    return found


def _interaction(row: Record, names: EventNames, event_type: str | None) -> list[Record]:
    if not (kind := names.own(row, "event_type", event_type)):
        return []
    base = filled(
        event_id=first(row, "event_id"),
        event_time=first(row, "timestamp"),
        user_id=first(row, "user_id"),
        session_id=first(row, "session_id"),
        recommendation_id=first(row, "recommendation_id"),
    )
    shown = _shown(first(row, "impression"))
    line = filled(item_id=first(row, "item_id"), rating=first(row, "event_value") if kind == "rate" else None)
    return (about("impression", base, [{"item_id": item} for item in shown]) if shown else []) + about(
        kind, base, [line] if line else []
    )


def _shown(impression: Any) -> list[Any]:
    """The shown items: a list, or text with `|` between them."""
    if isinstance(impression, str):
        return impression.split("|")
    return impression if isinstance(impression, list) else [] if impression is None else [impression]
