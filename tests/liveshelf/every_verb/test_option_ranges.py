"""Numbers that a verb is given: each option has a range, and what is outside it is a usage error with the option's name."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from liveshelf.main import app
from tests.liveshelf.every_verb.verbs import WORDS, verbs

NUMBERS = [
    (verb, name, option.annotation, option.default)
    for verb, function in verbs()
    for name, option in inspect.signature(function).parameters.items()
    if option.annotation in (int, float)
]
OUTSIDE: list[tuple[str, str, str]] = []
for verb, name, kind, info in NUMBERS:
    flag = next((word for word in info.param_decls or () if word.startswith("--")), f"--{name.replace('_', '-')}")
    step = 1 if kind is int else 0.0005
    values = [str(info.min - step)] if info.min is not None else []
    values += [str(info.max + step)] if info.max is not None else []
    OUTSIDE += [
        (verb, flag, value) for value in [*values, *(("nan", "inf", "-inf") if kind is float else ("1.5", "x"))]
    ]


def answer(verb: str, *words: str, folder: Path) -> Any:
    arguments = WORDS[verb][0].replace("{out}", str(folder)).replace("{events}", "none").replace("{bundle}", "none")
    return CliRunner().invoke(app, [*verb.split(), *arguments.split(), *words])


def test_every_number_has_a_lower_bound() -> None:
    assert len(NUMBERS) > 60
    assert [(verb, name) for verb, name, _, info in NUMBERS if getattr(info, "min", None) is None] == []


@pytest.mark.parametrize("verb", sorted({verb for verb, _, _ in OUTSIDE}))
def test_a_number_outside_its_range_is_a_usage_error(verb: str, tmp_path: Path) -> None:
    for _, flag, value in (case for case in OUTSIDE if case[0] == verb):
        result = answer(verb, f"{flag}={value}", folder=tmp_path)
        assert (result.exit_code, flag in result.output) == (2, True), (flag, value, result.output)


@pytest.mark.parametrize(
    ("verb", "flag", "value"),
    [
        ("bench state", "--users", "20000,many"),
        ("bench state", "--users", "0,1"),
        ("bench catalogues", "--items", ""),
        ("bench scale", "--slots", "1,,2"),
        ("bench scorer", "--items", "-5"),
    ],
)
def test_several_numbers_are_checked_as_one_is(verb: str, flag: str, value: str, tmp_path: Path) -> None:
    result = answer(verb, f"{flag}={value}", folder=tmp_path)
    assert (result.exit_code, flag in result.output) == (2, True), result.output
