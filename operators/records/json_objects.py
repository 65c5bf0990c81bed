"""Parses bytes that did not decode strictly to a JSON object, or raises `BadRecord` with the reason."""

import json
from math import isfinite
from typing import Any

from operators.errors import BadRecord
from operators.records.written_values import SHOWN

BOM = b"\xef\xbb\xbf"  # Windows writes it before UTF-8


class _RepeatedKey(ValueError):
    pass


def read_object(value: bytes) -> dict[str, Any]:
    """The object, whose keys must be unique; a byte-order mark before it is skipped. Raises `BadRecord`."""
    fields = _parsed(value.removeprefix(BOM))
    if not isinstance(fields, dict):
        raise BadRecord("not_an_object", "a JSON object", type(fields).__name__)
    try:
        json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRecord("not_utf8", "text without lone surrogates", "a lone surrogate") from None
    except RecursionError:
        raise _too_deep() from None
    return fields


def refuse_repeated_keys(value: bytes) -> None:
    """Raises `BadRecord` for an object with a repeated key: parsers disagree on which value counts."""
    _parsed(value)


def _parsed(value: bytes) -> Any:
    if not value.strip():
        raise BadRecord("empty_value", "a JSON object", "an empty value")
    try:
        return json.loads(
            value.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
    except UnicodeDecodeError as error:
        raise BadRecord("not_utf8", "UTF-8", str(error)[:SHOWN]) from None
    except _RepeatedKey as error:
        raise BadRecord("duplicate_key", "each key once", f"{error} twice"[:SHOWN]) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise BadRecord("not_json", "JSON", str(error)[:SHOWN]) from None


def _too_deep() -> BadRecord:
    return BadRecord("too_deep", "an object of a few levels", "hundreds of levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:  # one pass: a record may have a hundred thousand pairs
        if name in fields:
            raise _RepeatedKey(name)
        fields[name] = value
    return fields


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if not isfinite(number := float(text)):
        raise ValueError("a number out of range")
    return number
