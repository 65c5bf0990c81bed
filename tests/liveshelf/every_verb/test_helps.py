"""`--help` of every verb: all that the code says is printed, and every argument and option is explained."""

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.simulator.__main__ import app as simulator
from liveshelf.main import app
from liveshelf.pages.cli_page import commands

APPS = {"liveshelf": app, "simulator": simulator}
FRAME = str.maketrans(dict.fromkeys("│╭╮╰╯─", " "))


def groups_and_commands(command: Any, words: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", {}).items()
    return [(words, command), *(one for name, child in children for one in groups_and_commands(child, (*words, name)))]


CASES = [
    (name, words, command)
    for name, each in APPS.items()
    for words, command in groups_and_commands(typer.main.get_command(each))
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join((case[0], *case[1])))
def test_all_words_of_a_help_are_printed(case: tuple[str, tuple[str, ...], Any]) -> None:
    """rich takes a word in brackets for markup and prints nothing in its place."""
    name, words, command = case
    result = CliRunner().invoke(APPS[name], [*words, "--help"], env={"COLUMNS": "1000", "TERMINAL_WIDTH": "1000"})
    assert result.exit_code == 0, result.output
    printed = " ".join(result.output.translate(FRAME).split())
    texts = [command.help or "", *(parameter.help or "" for parameter in command.params)]
    paragraphs = [" ".join(paragraph.split()) for text in texts for paragraph in text.split("\n\n")]
    assert [paragraph for paragraph in paragraphs if paragraph not in printed] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join((case[0], *case[1])))
def test_every_argument_and_option_is_explained(case: tuple[str, tuple[str, ...], Any]) -> None:
    assert [parameter.name for parameter in case[2].params if not parameter.help] == []


def test_every_verb_is_among_them() -> None:
    names = {" ".join(("liveshelf", *words)) for name, words, _ in CASES if name == "liveshelf"}
    assert {name for name, _ in commands(typer.main.get_command(app), "liveshelf")} <= names
