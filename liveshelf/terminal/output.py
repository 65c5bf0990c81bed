"""What a verb prints: JSON for machines on stdout, text for people on stderr.

A verb prints what others wrote: ids, paths, records, errors of the broker. So nothing printed here is read as markup,
and every string goes through `visible`: a record cannot end a verb, move the cursor, or print a line that looks like
ours. Only this file may use rich (ruff, `banned-api`).
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

LINE, CELL, BLOCK_LINES = 4000, 400, 200  # characters of a line and of a cell, lines of a block: more are cut off

JsonFlag = typer.Option(False, "--json", help="One JSON object on stdout.")


class People(Console):
    """A console that shows strings as they are."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's; a string is one line."""
        super().print(*(visible(one, LINE) if isinstance(one, str) else one for one in objects), **options)

    def status(self, status: Any, **options: Any) -> Status:
        """As rich's, with `update` that shows strings as they are as well."""
        return _Waiting(_text(status), console=self, **options)


class _Waiting(Status):
    def update(self, status: Any = None, **options: Any) -> None:
        super().update(None if status is None else _text(status), **options)


def _text(text: object) -> Text:
    return Text(visible(str(text), LINE))


people = People(stderr=True)


def machine(answer: Any) -> None:
    """One JSON value on stdout; all but ASCII is escaped."""
    print(json.dumps(answer, default=str))


def line(text: str) -> None:
    """One line of somebody else's on stdout."""
    print(visible(text))


def notice(head: str, style: str, text: str) -> None:
    """A head in a style, and a text that may have several lines: those after the first are set in."""
    people.print(Text.assemble((visible(head, LINE), style), ": ", block(text)), soft_wrap=True)


def block(text: str) -> str:
    """Several lines, none of which can be taken for one of ours: all but the first are set in."""
    lines = text.split("\n")
    if (more := len(lines) - BLOCK_LINES) > 0:
        lines[BLOCK_LINES // 2 : -BLOCK_LINES // 2] = [f"… ({more} more lines)"]
    return "\n    ".join(visible(one, LINE) for one in lines)


def grid(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A small table; without names of columns where they are empty."""
    names = [visible(name, CELL) for name in columns]
    drawn = Table(*names, title=visible(title, CELL) or None, title_justify="left", box=None, pad_edge=False)
    drawn.show_header = any(columns)
    for row in rows:
        drawn.add_row(*(Text(visible(str(cell), CELL)) for cell in row))
    return drawn


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A small table for people."""
    people.print(grid(title, columns, rows))


def pairs(answer: Mapping[str, object]) -> None:
    """Names and values, one a line."""
    table("", ("", ""), [*answer.items()])


def live() -> Live:
    """A place on the terminal that is drawn anew by `update`."""
    return Live(console=people, auto_refresh=False, transient=False)


class LogToPeople(logging.Handler):
    """What libraries log while a verb runs, from warnings on: a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """As `logging.Handler`."""
        people.print(Text(block(self.format(record))), soft_wrap=True)
