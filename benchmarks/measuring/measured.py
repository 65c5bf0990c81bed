"""Figures that a run may lack: a benchmark then gives the reason instead of a number.

A result holds numbers and `NotMeasured`; `as_json` turns `NotMeasured` into null and collects the reasons.
"""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hdrh.histogram import HdrHistogram

T = TypeVar("T")
SHARES = (0.50, 0.95, 0.99)


@dataclass(frozen=True)
class NotMeasured:
    """A figure that a run lacks. `left_out`: the user chose to skip it, so it is no failure."""

    reason: str
    left_out: bool = False


Figure = float | NotMeasured


def ratio(dividend: Figure, divisor: Figure, digits: int = 3, *, zero_reason: str = "the divisor is 0") -> Figure:
    """`dividend` / `divisor`, rounded; not measured if one of them is not. `zero_reason`: the reason if `divisor` is 0."""
    for figure in (dividend, divisor):
        if isinstance(figure, NotMeasured):
            return figure
    return NotMeasured(zero_reason) if divisor == 0 else rounded(dividend / divisor, digits)  # type: ignore[operator]


def rounded(value: Figure, digits: int) -> Figure:
    """The value rounded to `digits`; an integer if `digits` is 0."""
    if isinstance(value, NotMeasured):
        return value
    if not math.isfinite(value):
        return NotMeasured(f"the value is {value}")
    return round(value, digits) if digits else round(value)


def total(figures: Collection[Figure], digits: int) -> Figure:
    """The sum, rounded; not measured if one figure is not, or there is no figure."""
    unmeasured = [figure for figure in figures if isinstance(figure, NotMeasured)]
    if unmeasured or not figures:
        return unmeasured[0] if unmeasured else NotMeasured("there is nothing to add up")
    return rounded(math.fsum(figures), digits)  # type: ignore[arg-type]


def median(figures: Sequence[Figure], digits: int = 3) -> Figure:
    """The median, rounded; not measured if one figure is not, or there is no figure."""
    unmeasured = [figure for figure in figures if isinstance(figure, NotMeasured)]
    if unmeasured or not figures:
        return unmeasured[0] if unmeasured else NotMeasured("there is no round")
    return rounded(statistics.median(figures), digits)  # type: ignore[type-var]


def percentile(values: Sequence[float], share: float, digits: int) -> Figure:
    """The percentile of `values` (any order) by nearest rank. A share of 0.99 needs 100 values."""
    reason = too_few(len(values), share)
    if reason:
        return NotMeasured(reason)
    return rounded(sorted(values)[math.ceil(share * len(values)) - 1], digits)


def too_few(count: int, share: float) -> str:
    """The reason why `count` values have no such percentile; empty if they have."""
    needed = math.ceil(round(1 / (1 - share), 6))
    return "" if count >= needed else f"{count} values came, a p{100 * share:g} needs {needed}"


def percentiles_ms(histogram: HdrHistogram) -> dict[str, Figure]:
    """p50, p95, p99 and max in ms of a histogram in us."""
    count, percentiles = histogram.get_total_count(), dict[str, Figure]()
    for share in SHARES:
        reason = too_few(count, share)
        value = histogram.get_value_at_percentile(100 * share) / 1000
        percentiles[f"p{100 * share:.0f}"] = NotMeasured(reason) if reason else round(value, 1)
    return percentiles | {"max": round(histogram.get_max_value() / 1000, 1) if count else NotMeasured("no value came")}


def measured_unless(reasons: Sequence[str], figures: T) -> T:
    """`figures` (a number, or numbers in dicts and lists); with `reasons` each of them becomes `NotMeasured`."""
    return _unmeasured(figures, NotMeasured("; ".join(reasons))) if reasons else figures


def _unmeasured(figures: Any, not_measured: NotMeasured) -> Any:
    if isinstance(figures, Mapping):
        return {name: _unmeasured(value, not_measured) for name, value in figures.items()} or not_measured
    if isinstance(figures, list):
        return [_unmeasured(value, not_measured) for value in figures] or not_measured
    return not_measured if isinstance(figures, int | float | NotMeasured) and not isinstance(figures, bool) else figures


def as_json(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result with null for each `NotMeasured`, and `not_measured` (or `left_out`): path -> reason.

    A number that is not finite becomes null too. A result of an earlier `as_json` stays unchanged.
    """
    failed, left_out = dict[str, str](), dict[str, str]()

    def plain(value: Any, path: str) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            value = NotMeasured(f"the value is {value}")
        if isinstance(value, NotMeasured):
            (left_out if value.left_out else failed)[path] = value.reason
            return None
        if isinstance(value, Mapping):
            return {name: plain(element, f"{path}.{name}" if path else str(name)) for name, element in value.items()}
        if isinstance(value, list | tuple):
            return [plain(element, f"{path}[{number}]") for number, element in enumerate(value)]
        return value

    plain_result = dict(plain(result, ""))
    for name, reasons in (("not_measured", failed), ("left_out", left_out)):
        if reasons:
            plain_result[name] = plain_result.get(name, {}) | reasons
    return plain_result
