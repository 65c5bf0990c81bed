"""Values as exports write them: ids, times, amounts and consents -> what is meant, or `BadRecord` with the reason.

Only what has one meaning is read. `1,234` may be 1234 or 1.234, and 01/12/2010 may be of January or of December: such a
value is refused, never guessed.
"""

import re
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, NamedTuple
from unicodedata import category

from operators.errors import BadRecord

SECONDS_FROM, MS_FROM, US_FROM, NS_FROM = 10**8, 10**10, 10**15, 10**18  # of a count since 1970, by its size
SHOWN = 200
MAX_TEXT = 64  # characters of a time or an amount
EXACT = 2**53  # from here on a JSON number with a fraction is not the number that was written

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_COUNT = re.compile(r"-?\d{9,}(\.\d+)?", re.ASCII)
_ZONED = re.compile(r"(.*\d)\s*(?:UTC|GMT|Z)|(.*\d)\s+([+-]\d{2}:?\d{2})", re.ASCII | re.IGNORECASE)
_DAY_OR_MONTH = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b", re.ASCII)
_TIME = "epoch milliseconds, or ISO 8601 such as 2026-02-01T12:00:00Z"

_AMOUNT = re.compile(r"([^\d+−.,-]*)([+−-]?)([^\d.,]*)(\d[\d.,]*)(.*)", re.ASCII | re.DOTALL)
_THOUSANDS_BLANK = re.compile(r"(?<=\d)[ '’\u00a0\u2009\u202f](?=\d{3}(?!\d))", re.ASCII)
_NO_CENTS = re.compile(r"[.,][-–—]{1,2}")  # 12,-
_ONE_SEPARATOR = re.compile(r"\d+(?:[.,]\d+)?", re.ASCII)
_THOUSANDS = (
    re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d+)?", re.ASCII),
    re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", re.ASCII),
)
_AMBIGUOUS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_CODES = {"€": "EUR", "£": "GBP", "eur": "EUR", "usd": "USD", "gbp": "GBP"}
_ABBREVIATIONS = frozenset(
    ("kr", "kr.", "zł", "kč", "ft", "lei", "tl", "rs", "rs.")
)  # of several currencies, or of none

_NO = frozenset(("denied", "refused", "false", "no", "off", "0"))
_YES = frozenset(("granted", "allowed", "true", "yes", "on", "1"))


class Amount(NamedTuple):
    """A number, and the ISO 4217 code that stood beside it."""

    number: float
    currency: str | None


def read_id(name: str, value: Any) -> str:
    """An id: text as it is, a whole number as its digits (456 and 456.0 are "456")."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    raise BadRecord("bad_id", f"{name} as text or as a whole number", _shown(value))


def read_time(value: Any) -> int:
    """Epoch ms of ISO 8601 or nearly so (UTC where it names no zone), or of a count since 1970 in s, ms, us or ns."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise BadRecord("wrong_type", _TIME, _shown(value))
    if isinstance(value, int | float):
        return in_ms(value)
    text = "" if value is None else value.strip()
    if not text or len(text) > MAX_TEXT:
        raise BadRecord("bad_event_time", _TIME, "null" if value is None else f"{len(text)} characters")
    if _COUNT.fullmatch(text):
        return in_ms(float(text) if "." in text else int(text))
    return _iso_ms(text)


def in_ms(count: int | float) -> int:
    """A count since 1970 in epoch ms; its unit is told by its size. Seconds from 1973 on, the others from 2001 on."""
    if isinstance(count, float) and not isfinite(count):
        raise BadRecord("bad_event_time", _TIME, "a number out of range")
    size = abs(count)
    if size < SECONDS_FROM or MS_FROM <= size < US_FROM:
        return int(count)
    if size < MS_FROM:
        return round(count * 1000)
    return int(count) // (1000 if size < NS_FROM else 1_000_000)


def _iso_ms(text: str) -> int:
    if zoned := _ZONED.fullmatch(text):
        text = zoned[1] + "+00:00" if zoned[1] else zoned[2] + zoned[3]
    try:
        time = datetime.fromisoformat(text)
        return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        raise BadRecord("bad_event_time", _TIME, _why_no_time(text)) from None


def _why_no_time(text: str) -> str:
    if _DAY_OR_MONTH.match(text):
        return f"{text!r}, whose day and month are not told apart"
    if ":60" in text:
        return f"{text!r}, a leap second, which epoch time does not have"
    return repr(text)


def read_amount(name: str, value: Any) -> Amount:
    """A number, or text such as "12.50", "12,50 €", "1.234,50" or "1,234,567.00 USD"."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Amount(_finite(name, value), None)
    if not isinstance(value, str):
        raise BadRecord("wrong_type", f"{name} as a number", _shown(value))
    found = _AMOUNT.fullmatch(_THOUSANDS_BLANK.sub("", value.strip())) if len(value) <= MAX_TEXT else None
    if found is None:
        raise BadRecord("bad_amount", f"{name} as a number", _shown(value))
    before, sign, between, digits, after = found.groups()
    if _NO_CENTS.match(digits[-1:] + after):
        digits, after = digits[:-1], after.lstrip("-–—")
    marks = [mark for mark in (part.strip() for part in (before, between, after)) if mark]
    if len(marks) > 1 or not all(map(_is_currency, marks)):
        raise BadRecord("bad_amount", f"{name} as a number, with one currency at most", _shown(value))
    number = _number(name, digits, value)
    return Amount(-number if sign in ("-", "−") else number, _code(marks[0]) if marks else None)


def _number(name: str, digits: str, value: str) -> float:
    if _AMBIGUOUS.fullmatch(digits):
        raise BadRecord("bad_amount", f"{name} with one meaning", f"{value!r}: thousands, or a fraction?")
    if _ONE_SEPARATOR.fullmatch(digits):
        return _finite(name, float(digits.replace(",", ".")))
    if _THOUSANDS[0].fullmatch(digits):
        return _finite(name, float(digits.replace(",", "")))
    if _THOUSANDS[1].fullmatch(digits):
        return _finite(name, float(digits.replace(".", "").replace(",", ".")))
    raise BadRecord("bad_amount", f"{name} as a number", _shown(value))


def _finite(name: str, value: int | float) -> float:
    try:
        if isfinite(number := float(value)):
            return number
    except OverflowError:
        pass
    raise BadRecord("bad_amount", f"{name} as a finite number", "a number out of range")


def _is_currency(mark: str) -> bool:
    return _code(mark) is not None or mark.lower() in _ABBREVIATIONS or (len(mark) == 1 and category(mark) == "Sc")


def _code(mark: str) -> str | None:
    """The code of a mark; None of one that several currencies share, such as $."""
    is_code = len(mark) == 3 and mark.isascii() and mark.isalpha() and mark.isupper()
    return mark if is_code else _CODES.get(mark.lower())


def read_consent(value: Any) -> str:
    """ "denied" or "granted" of any spelling of a clear no or yes; all else is refused: it lifts no refusal."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip().casefold() if isinstance(value, str | int | bool) else ""
    if text not in _NO and text not in _YES:
        raise BadRecord(
            "bad_consent",
            'context.personalisation as "granted" or "denied"',
            "none" if value is None else _shown(value),
        )
    return "denied" if text in _NO else "granted"


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)[:SHOWN]
