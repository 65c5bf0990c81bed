"""Options that are numbers: each has a range, and none of them is `nan` or `inf`."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import typer

Number = TypeVar("Number", int, float)
ABOVE_0 = 0.001  # of rates, hours and seconds that must not be 0
TEN_YEARS_H = 87_600
MOST_SHOWN = 1_000_000  # lines or records that a verb holds to show them
SEEDS = 2**32 - 1  # of numpy and of what builds on it


def real(default: float | None, help: str = "", *names: str, min: float, max: float | None = None) -> Any:
    """An option of type float."""
    return typer.Option(default, *names, help=help or None, min=min, max=max, callback=_finite)


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number.")
    return value


def several(
    option: str, text: str, of: Callable[[str], Number], least: Number, most: Number | None = None
) -> list[Number]:
    """The numbers of an option such as `--items 1000,20000`, parted by commas, each in the range."""
    try:
        numbers = [of(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(least <= number and (most is None or number <= most) for number in numbers):
        upper = "" if most is None else f" and at most {most}"
        raise typer.BadParameter(
            f"expected numbers of at least {least}{upper}, parted by commas; came {text!r}", param_hint=option
        )
    return numbers
