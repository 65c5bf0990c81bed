"""CloudEvents 1.0 in JSON, one or a batch, whose `data` holds the fields of docs/events.md.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import base64
import binascii

import msgspec

from operators.adapters.event_names import RETURN, EventNames
from operators.adapters.fields import Record, filled, first, part, text
from operators.adapters.order_lines import below_0
from operators.errors import BadRecord
from operators.records.contracts import Event
from operators.records.written_values import SHOWN


def looks(record: Record) -> bool:
    """Whether a record has the attributes that each CloudEvent has."""
    return {"specversion", "id", "source", "type"} <= record.keys()


def events(record: Record, names: EventNames) -> list[Record]:
    """One event: the fields of `data`, and from the envelope what they lack (id, time, type, traceparent)."""
    if (version := record.get("specversion")) != "1.0":
        raise BadRecord("unknown_schema_version", "CloudEvents 1.0", repr(version)[:SHOWN])
    fields = _data(record)
    names.unused.update(name for name in fields if name not in Event.__struct_fields__)
    event = {name: value for name, value in fields.items() if name in Event.__struct_fields__ and value is not None}
    if not (kind := names.common(text(event, "event_type") if "event_type" in event else _last(text(record, "type")))):
        return []
    base = filled(
        event_id=f"{text(record, 'source')}#{text(record, 'id')}",  # an id is unique within its source
        event_time=first(record, "time"),
        traceparent=first(record, "traceparent"),
    )
    if kind == RETURN:
        event["quantity"] = below_0(event)
    return [base | event | {"event_type": "purchase" if kind == RETURN else kind}]


def _last(name: str) -> str:
    """`com.example.shop.add_to_cart` -> `add_to_cart`; a version behind it is dropped."""
    *_, last = [part for part in name.split(".") if not (part[:1] == "v" and part[1:].isdecimal())] or [name]
    return last


def _data(record: Record) -> Record:
    if "data_base64" not in record:
        return part(record, "data")
    try:
        value = msgspec.json.decode(base64.b64decode(text(record, "data_base64"), validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        raise BadRecord("not_json", "JSON in data_base64", str(record["data_base64"])[:SHOWN]) from None
    return part({"data": value}, "data")
