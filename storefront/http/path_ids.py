"""Ids in a path: percent-encoded, with any character that an id may have, `/` among them."""

from typing import Annotated
from urllib.parse import unquote

from fastapi import Path
from pydantic import BeforeValidator

from operators.errors import BadRecord
from operators.records.contracts import MAX_ID
from operators.records.event_repair import check_id


def path_id(raw: str) -> str:
    """Decodes one path segment, which `Guard` leaves percent-encoded so that `%2F` does not end it. Raises `ValueError`
    for an id that no event may have."""
    try:
        text = unquote(raw, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("expected an id in UTF-8, percent-encoded") from None
    try:
        check_id("an id", text)
    except BadRecord as error:
        raise ValueError(f"expected {error.expected}; came {error.came}") from None
    return text


_SCHEMA = {
    "minLength": 1,
    "maxLength": MAX_ID,
    "pattern": r"^(?![\uFEFF\uFFFE])[^\u0000-\u001F\u007F-\u009F]*$",
}
PathId = Annotated[
    str, BeforeValidator(path_id), Path(description="Percent-encoded: `/` is `%2F`.", json_schema_extra=_SCHEMA)
]
