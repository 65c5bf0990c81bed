"""Ids in a path: percent-encoded, with any character that an id may have, `/` among them."""

from typing import Annotated
from urllib.parse import unquote

from fastapi import Path
from pydantic import BeforeValidator

from operators.errors import BadRecord
from operators.records.contracts import MAX_ID
from operators.records.event_repair import check_id


def path_id(raw: str) -> str:
    """The id of one part of a path as it is on the wire (`Guard` keeps routes from seeing it decoded: `%2F` would be a
    part's end). Raises `ValueError` for what no event could have as an id."""
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
