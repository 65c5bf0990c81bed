"""What a verb prints: JSON for machines on stdout, text for people on stderr."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

people = Console(stderr=True, highlight=False)

JsonFlag = typer.Option(False, "--json", help="One JSON object on stdout.")


def machine(answer: Any) -> None:
    """One JSON value on stdout."""
    print(json.dumps(answer, default=str))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A small table for people."""
    drawn = Table(*columns, title=title or None, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    people.print(drawn)


def pairs(answer: Mapping[str, object]) -> None:
    """Names and values, one a line."""
    table("", ("", ""), [*answer.items()])
