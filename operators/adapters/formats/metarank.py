"""Metarank's events: `ranking` and `interaction`. https://docs.metarank.ai/reference/event-format"""

from operators.adapters.event_names import EventNames
from operators.adapters.fields import Record, filled, first, parts, text
from operators.adapters.order_lines import about

KINDS = ("item", "user", "ranking", "interaction")


def looks(record: Record) -> bool:
    """Whether a record is one of Metarank's four kinds."""
    return record.get("event") in KINDS and {"id", "timestamp"} <= record.keys()


def events(record: Record, names: EventNames) -> list[Record]:
    """A ranking is an impression; an interaction goes by its `type`. `item` and `user` are no acts of a shopper."""
    event = text(record, "event")
    base = filled(
        event_id=first(record, "id"),
        event_time=first(record, "timestamp"),
        user_id=first(record, "user", "session"),
        session_id=first(record, "session"),
    )
    if event == "interaction":
        kind = names.common(text(record, "type"))
        base |= filled(recommendation_id=first(record, "ranking"))
        return about(kind, base, [filled(item_id=first(record, "item"))]) if kind else []
    if not (kind := names.of(event, {"ranking": "impression"})):
        return []
    lines = [{"item_id": first(item, "id")} for item in parts(record, "items")]
    return about(kind, base | filled(recommendation_id=first(record, "id")), lines)
