"""Access to the fields of a foreign record, whatever JSON stands there. Raises `BadRecord`, nothing else."""

from typing import Any

import msgspec

from operators.errors import BadRecord
from operators.records.written_values import SHOWN

Record = dict[str, Any]  # a foreign record, or an event that is not checked yet
_EMPTY = (None, "")


def first(record: Record, *names: str) -> Any:
    """The value of the first of these fields that has one; None without any."""
    for name in names:
        if (value := record.get(name)) not in _EMPTY:
            return value
    return None


def part(record: Record, name: str) -> Record:
    """The object in a field, or in its text of JSON; empty where the field is empty."""
    value = _read(record, name)
    if value in _EMPTY:
        return {}
    if not isinstance(value, dict):
        raise BadRecord("wrong_type", f"{name} as an object", repr(value)[:SHOWN])
    return value


def parts(record: Record, name: str) -> list[Record]:
    """The objects of a list, or of its text of JSON; a single object counts as a list of one."""
    value = _read(record, name)
    if value in _EMPTY:
        return []
    rows = value if isinstance(value, list) else [value]
    if not all(isinstance(row, dict) for row in rows):
        raise BadRecord("wrong_type", f"{name} as a list of objects", repr(value)[:SHOWN])
    return rows


def text(record: Record, name: str) -> str:
    """The text of a field that a record needs."""
    value = first(record, name)
    if value is None:
        raise BadRecord("missing_field", f"the field {name}", "a record without it")
    if not isinstance(value, str):
        raise BadRecord("wrong_type", f"{name} as text", repr(value)[:SHOWN])
    return value


def filled(**fields: Any) -> Record:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value not in _EMPTY}


def _read(record: Record, name: str) -> Any:
    value = record.get(name)
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):  # as tables hold nested values
        try:
            return msgspec.json.decode(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise BadRecord("not_json", f"{name} as JSON", value[:SHOWN]) from None
    return value
