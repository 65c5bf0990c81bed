"""Names of the fields in a record as a client wrote them."""

from collections import Counter

import msgspec

from operators.records.json_objects import BOM

SHOWN = 20
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def fields_with_values(value: bytes) -> list[str]:
    """The fields of a JSON object that are neither null nor an empty text, in its order; a byte-order mark before it is skipped.

    Raises `msgspec.DecodeError` for other bytes."""
    fields = _decode_fields(
        value.removeprefix(BOM).decode("utf-8", "replace")
    )  # a decoder of records skips unknown names unread
    return [name for name, raw in fields.items() if bytes(raw) not in (b"null", b'""')]


def left_out(unknown: Counter[str]) -> list[str]:
    """A remark on the unknown fields of a file, with the number of records for each; empty without unknown fields."""
    names = ", ".join(f"{name} ({count})" for name, count in unknown.most_common(SHOWN))
    return [f"fields that Liveshelf does not know, and leaves out: {names}"] if names else []
