"""Suggests the known name that an unknown name probably means."""

from collections.abc import Iterable
from difflib import get_close_matches

COMPARED = 128  # characters of a name that a client may choose


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that differs from `name` by case, `_`, `-` or a few letters; None where there is none.

    A client can choose `name`: of a long one only the beginning is compared.
    """
    plain = {_plain(candidate): candidate for candidate in names}
    matches = get_close_matches(_plain(name[:COMPARED]), plain, 1)
    return plain[matches[0]] if matches else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
