"""The output of a verb: JSON for machines on stdout, text for people on stderr.

Ids, paths, records and broker errors are foreign text. So nothing printed here is read as markup, and every string goes
through `visible`: a record cannot end a verb, move the cursor, or print a line that looks like one of Liveshelf's. Only
this file may use rich (ruff, `banned-api`).
"""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.live import Live
from rich.status import Status
from rich.table import Table
from rich.text import Text

from operators.telemetry.visible import visible

LINE, CELL, BLOCK_LINES = 4000, 400, 200  # limits: characters of a line and of a cell, lines of a block

JsonFlag = typer.Option(False, "--json", help="One JSON object on stdout.")


class People(Console):
    """A console that prints strings without markup or highlighting."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's; a string stays on one line."""
        super().print(*(visible(part, LINE) if isinstance(part, str) else part for part in objects), **options)

    def status(self, status: Any, **options: Any) -> Status:
        """As rich's; its `update` prints strings without markup too."""
        return _Waiting(_text(status), console=self, **options)


class _Waiting(Status):
    def update(self, status: Any = None, **options: Any) -> None:
        super().update(None if status is None else _text(status), **options)


def _text(text: object) -> Text:
    return Text(visible(str(text), LINE))


people = People(stderr=True)


def machine(answer: Any) -> None:
    """Prints one JSON value on stdout, escaped to ASCII."""
    print(json.dumps(answer, default=str))


def line(text: str) -> None:
    """Prints one foreign line on stdout."""
    print(visible(text))


def notice(head: str, style: str, text: str) -> None:
    """Prints a styled head and a text; lines after the first are indented."""
    people.print(Text.assemble((visible(head, LINE), style), ": ", block(text)), soft_wrap=True)


def block(text: str) -> str:
    """A text of several lines; all but the first are indented, so that none looks like a line of Liveshelf's."""
    lines = text.split("\n")
    if (hidden_count := len(lines) - BLOCK_LINES) > 0:
        lines[BLOCK_LINES // 2 : -BLOCK_LINES // 2] = [f"… ({hidden_count} more lines)"]
    return "\n    ".join(visible(text_line, LINE) for text_line in lines)


def grid(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A small table; without a header if all column names are empty."""
    names = [visible(name, CELL) for name in columns]
    rich_table = Table(*names, title=visible(title, CELL) or None, title_justify="left", box=None, pad_edge=False)
    rich_table.show_header = any(columns)
    for row in rows:
        rich_table.add_row(*(Text(visible(str(cell), CELL)) for cell in row))
    return rich_table


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a small table for people."""
    people.print(grid(title, columns, rows))


def pairs(answer: Mapping[str, object]) -> None:
    """Prints names and values, one pair a line."""
    table("", ("", ""), [*answer.items()])


def live() -> Live:
    """A region of the terminal that `update` redraws."""
    return Live(console=people, auto_refresh=False, transient=False)


class LogToPeople(logging.Handler):
    """Prints the warnings and errors that libraries log while a verb runs, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """As `logging.Handler`."""
        people.print(Text(block(self.format(record))), soft_wrap=True)
