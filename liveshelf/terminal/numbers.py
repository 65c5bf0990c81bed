"""Numeric options: each has a range; `nan` and `inf` are refused."""

import math
from collections.abc import Callable
from types import EllipsisType
from typing import Any, TypeVar

import typer

Number = TypeVar("Number", int, float)
ABOVE_0 = 0.001  # the minimum of rates, hours and seconds that must not be 0
TEN_YEARS_H = 87_600
MAX_SHOWN = 1_000_000  # lines or records that a verb holds in memory to show them
SEEDS = 2**32 - 1  # the largest seed that numpy takes


def real(default: float | EllipsisType | None, help: str, *names: str, min: float, max: float | None = None) -> Any:
    """An option of type float; `...`: it must be given."""
    return typer.Option(default, *names, help=help, min=min, max=max, callback=_finite)


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number.")
    return value


def number_list(
    option: str, text: str, number_type: Callable[[str], Number], minimum: Number, maximum: Number | None = None
) -> list[Number]:
    """The numbers of an option such as `--items 1000,20000`. Raises a usage error outside the range."""
    try:
        numbers = [number_type(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(minimum <= number and (maximum is None or number <= maximum) for number in numbers):
        upper = "" if maximum is None else f" and at most {maximum}"
        raise typer.BadParameter(
            f"expected numbers of at least {minimum}{upper}, parted by commas; came {text!r}", param_hint=option
        )
    return numbers
