"""Names of fields and parameters as a client wrote them: which name was probably meant by one that nobody reads."""

from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches

import msgspec

from operators.records.contracts import MAX_ID
from operators.records.json_objects import BOM

SHOWN = 20
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def given_fields(value: bytes) -> list[str]:
    """The fields of a JSON object that are neither null nor an empty text, in its order; a byte-order mark before it is skipped. Raises `msgspec.DecodeError` for what is none."""
    fields = _decode_fields(
        value.removeprefix(BOM).decode("utf-8", "replace")
    )  # a decoder of records skips unknown names unread
    return [name for name, given in fields.items() if bytes(given) not in (b"null", b'""')]


def left_out(unknown: Counter[str]) -> list[str]:
    """The remark on unknown fields of a file, with how many records have each; none where there are none."""
    names = ", ".join(f"{name} ({count})" for name, count in unknown.most_common(SHOWN))
    return [f"fields that Liveshelf does not know, and leaves out: {names}"] if names else []


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that differs from `name` by case, `_`, `-` or a few letters; None where there is none.

    A client can choose `name`: of a long one only the beginning is compared.
    """
    plain = {_plain(known): known for known in names}
    found = get_close_matches(_plain(name[:MAX_ID]), plain, 1)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
