"""Arguments that are ids: an id that no event can have is refused before the broker is asked."""

from typing import Any

import typer

from operators.errors import BadRecord
from operators.records.event_repair import check_id


def user_id() -> Any:
    """The argument of a verb about one user."""
    return typer.Argument(help="user_id.", callback=_checked)


def _checked(text: str) -> str:
    try:
        check_id("user_id", text)
    except BadRecord as bad:
        raise typer.BadParameter(f"expected {bad.expected}; came {bad.came}") from None
    return text
