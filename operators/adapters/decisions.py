"""What a file means as a whole: the unit of its times, its decimal mark, ids that are numbers. Decided once for all records.

One value may be ambiguous where all of them together are not: `1,234` beside `12,50` is 1.234. What stays ambiguous is
refused, never guessed.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from operators.adapters.fields import Record
from operators.errors import BadRecord, EventsFileError
from operators.records.written_values import MS_FROM, NS_FROM, SECONDS_FROM, US_FROM

LEAST_SHARE = 0.9  # of the counted times that one unit must have
UNITS: dict[str, Callable[[float], int]] = {
    "s": lambda count: round(count * 1000),
    "ms": int,
    "us": lambda count: int(count) // 1000,
    "ns": lambda count: int(count) // 1_000_000,
}
MARKS = (",", ".")
_IDS = ("user_id", "item_id", "session_id", "anonymous_id")
_AMOUNTS = ("price", "quantity")
_COUNT = re.compile(r"\s*(\d{9,}(?:\.\d+)?)\s*", re.ASCII)
_DATE = re.compile(r"(?:19[7-9]\d|20\d\d)(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?:\d{4}|\d{6})?", re.ASCII)  # 20191001
_DIGITS = re.compile(r"\d[\d.,'’ \u00a0\u2009\u202f]*", re.ASCII)
_ONE_GROUP = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_FLOAT_ID = re.compile(r"-?\d+\.0", re.ASCII)


def unit_of(count: float) -> str | None:
    """The unit of a count since 1970, by its size: s from 1973 on, us and ns from 2001 on. None below, and for a date
    without separators."""
    if count < SECONDS_FROM or _DATE.fullmatch(str(int(count))):
        return None
    if count < MS_FROM:
        return "s"
    return "ms" if count < US_FROM else "us" if count < NS_FROM else "ns"


def _count(value: Any) -> float | None:
    """The number of a time that is written as a count."""
    if isinstance(value, str) and (match := _COUNT.fullmatch(value)):
        value = float(match[1]) if "." in match[1] else int(match[1])
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return value


def decimal_mark(value: str) -> str | None:
    """The decimal mark that an amount shows; `?` if it may be either, None if it has none."""
    if not (match := _DIGITS.search(value)):
        return None
    digits = "".join(letter for letter in match[0].rstrip(".,") if letter.isdecimal() or letter in MARKS)
    marks = [letter for letter in digits if letter in MARKS]
    if not marks:
        return None
    if len({*marks}) == 2:
        return marks[-1]
    if len(marks) > 1:
        return MARKS[1 - MARKS.index(marks[0])]  # 1.234.567: the other one
    return "?" if _ONE_GROUP.fullmatch(digits) else marks[0]


@dataclass
class Evidence:
    """What the values of a file show, counted in a first pass."""

    units: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    words: set[str] = field(default_factory=set)  # id fields with a value that is no number
    floats: set[str] = field(default_factory=set)  # id fields with a value such as 1012.0

    def take(self, event: Record) -> None:
        """Counts the values of an event."""
        if (count := _count(event.get("event_time"))) is not None and (unit := unit_of(count)):
            self.units[unit] += 1
        for name in _AMOUNTS:
            if isinstance(amount := event.get(name), str) and (mark := decimal_mark(amount)):
                self.marks[mark] += 1
        for name in _IDS:
            if name not in self.words and isinstance(value := event.get(name), str) and not value.isdecimal():
                (self.floats if _FLOAT_ID.fullmatch(value) else self.words).add(name)

    def decide(self, unit: str | None, mark: str | None) -> "Decisions":
        """`unit` and `mark` are the shop's own word. Raises `EventsFileError` for times in several units."""
        if unit is None and self.units:
            unit, count = self.units.most_common(1)[0]
            if count < LEAST_SHARE * self.units.total():
                came = ", ".join(f"{count} times in {unit}" for unit, count in self.units.most_common())
                raise EventsFileError(
                    "times in one unit",
                    came,
                    f"--time-unit {unit} takes these alone and puts the others among the rejects",
                )
        seen = [mark for mark in MARKS if self.marks[mark]]
        return Decisions(unit, mark or (seen[0] if len(seen) == 1 else None), frozenset(self.floats - self.words))


@dataclass(frozen=True)
class Decisions:
    """`unit`: of times written as counts, None where there are none. `mark`: the decimal mark, None if it is not known.
    `whole`: id fields in which 1012.0 is 1012."""

    unit: str | None
    mark: str | None
    whole: frozenset[str]

    def apply(self, event: Record) -> None:
        """Rewrites the values of an event so that they have one meaning. Raises `BadRecord`."""
        count = _count(event.get("event_time"))
        if count is not None and self.unit and (unit := unit_of(count)):
            if unit != self.unit:
                raise BadRecord("bad_event_time", f"a time in {self.unit}, as the file's others", f"{count}, in {unit}")
            event["event_time"] = UNITS[unit](count)
        for name in _AMOUNTS:
            if self.mark and isinstance(amount := event.get(name), str) and decimal_mark(amount) == "?":
                event[name] = _one_meaning(amount, self.mark)
        for name in self.whole:
            if isinstance(value := event.get(name), str):
                event[name] = value.removesuffix(".0")
        if isinstance(code := event.get("currency"), str) and len(code) == 3:
            event["currency"] = code.upper()


def _one_meaning(amount: str, mark: str) -> str:
    """`1,234` as 1.2340 where the comma is the decimal mark, else as 1234."""
    match = _DIGITS.search(amount)
    digits = match[0].rstrip(" .,\u00a0\u2009\u202f") if match else ""
    return amount.replace(
        digits, digits.replace(mark, ".") + "0" if mark in digits else digits.replace(".", "").replace(",", "")
    )
