"""Names of fields and parameters as a client wrote them: which name was probably meant by one that nobody reads."""

from collections.abc import Iterable
from difflib import get_close_matches

import msgspec

from operators.contracts import MAX_ID

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def given_fields(value: bytes) -> list[str]:
    """The fields of a JSON object that are not null, in its order. Raises `msgspec.DecodeError` for what is none."""
    fields = _decode_fields(value.decode("utf-8", "replace"))  # a decoder of records skips unknown names unread
    return [name for name, given in fields.items() if bytes(given) != b"null"]


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that differs from `name` by case, `_`, `-` or a few letters; None where there is none.

    A client can choose `name`: of a long one only the beginning is compared.
    """
    plain = {_plain(known): known for known in names}
    found = get_close_matches(_plain(name[:MAX_ID]), plain, 1)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
