"""A shop's own table: a column for each of our fields, by a map or by the same name."""

from collections.abc import Mapping
from typing import Any

from operators.adapters.event_names import RETURN, EventNames
from operators.adapters.fields import Record, filled, first
from operators.adapters.order_lines import below_0
from operators.configuration.nearest_name import nearest
from operators.errors import EventsFileError
from operators.records.contracts import Event
from operators.records.written_values import read_list

FIELDS = tuple(name for name in Event.__struct_fields__ if name != "context")
REQUIRED = ("event_time", "user_id")


def columns_of(fields: Mapping[str, str], columns: tuple[str, ...], has_type: bool) -> dict[str, str]:
    """Our field -> the column, by the map `fields` or by the same name. Raises `EventsFileError` where one is missing.

    `has_type`: the shop names one event type for all rows.
    """
    for field, column in fields.items():
        if column not in columns:
            raise _missing(f"the column {column} for {field}", column, field, columns)
    chosen = {name: name for name in FIELDS if name in columns and name not in fields} | dict(fields)
    for field in (*REQUIRED, *([] if has_type else ["event_type"])):
        if field not in chosen:
            raise _missing(f"a column for {field}", field, field, columns)
    return chosen


def _missing(expected: str, name: str, field: str, columns: tuple[str, ...]) -> EventsFileError:
    likely = nearest(name, (column for column in columns if column not in FIELDS))
    return EventsFileError(
        expected,
        f"the columns {', '.join(columns)}"[:400],
        f"name it: --map {field}={likely or 'COLUMN'}"
        + (", or --event-type view for all rows" if field == "event_type" else ""),
    )


def events(record: Record, names: EventNames, columns: Mapping[str, str], event_type: str | None) -> list[Record]:
    """A row is one event. `columns`: our field -> the column; `event_type`: of all rows, where no column has it."""
    event = filled(**{field: record.get(column) for field, column in columns.items()})
    if "event_type" in columns:
        event_type = names.common(_text(first(event, "event_type")))
    if not event_type:
        return []
    if "items" in event:
        event["items"] = _items(event["items"])
    if event_type == RETURN:
        return [event | {"event_type": "purchase", "quantity": below_0(event)}]
    return [event | {"event_type": event_type}]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _items(value: Any) -> Any:
    """A list, the JSON text of one, or ids with `|` between them."""
    value = read_list(value)
    return value.split("|") if isinstance(value, str) and "|" in value else value
