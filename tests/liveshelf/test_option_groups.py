"""Options that belong together, as one parameter of a verb."""

from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from liveshelf.terminal.option_groups import with_groups
from liveshelf.terminal.output import machine


@dataclass(frozen=True)
class Paint:
    """Two options."""

    colour: str = typer.Option("red", help="Of the wall.")
    coats: int = typer.Option(1, "--layers", min=1)


@with_groups
def paint(wall: Path, paint: Paint, dry: bool = typer.Option(False)) -> None:
    """Paints a wall."""
    machine({"wall": wall.name, "dry": dry} | asdict(paint))


@pytest.mark.parametrize(
    ("words", "code", "printed"),
    [
        (["north"], 0, '"wall": "north", "dry": false, "colour": "red", "coats": 1'),
        (["north", "--layers", "2", "--colour", "blue", "--dry"], 0, '"dry": true, "colour": "blue", "coats": 2'),
        (["north", "--layers", "0"], 2, "--layers"),
        (["--help"], 0, "Of the wall."),
    ],
)
def test_each_field_of_a_group_is_an_option(words: list[str], code: int, printed: str) -> None:
    app = typer.Typer()
    app.command()(paint)
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, printed in result.output) == (code, True), result.output
