"""Converts values as exports write them (ids, times, amounts, consents), or raises `BadRecord` with the reason.

Only unambiguous values are converted. `1,234` may be 1234 or 1.234, and 01/12/2010 may be of January or of December: such a
value is refused, never guessed.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
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
# dates without separators, which no count of shops is: one in seconds is larger, and ms of 1970, 1976 or 2600 are none
_DATES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_DATE = re.compile(r"(?:19[7-9]\d|20\d\d)(?:\d{4}|\d{8}|\d{10})", re.ASCII)
_ZONED = re.compile(r"(.*\d)\s+([+-]\d{2}:?\d{2})(?: UTC)?|(.*\d)\s*(?:UTC|GMT|Z)", re.ASCII | re.IGNORECASE)
_ZONE_NAME = re.compile(r"(.*(?:Z|[+-]\d{2}:?\d{2}))\[[\w/+-]+\]", re.ASCII)  # Java's: …+02:00[Europe/Paris]
_YEAR_FIRST = re.compile(r"(\d{4})[/.](\d{2})[/.](\d{2})\b", re.ASCII)
_OF_MAIL = re.compile(  # and of HTTP: Tue, 01 Oct 2019 00:00:00 GMT
    r"(?:[a-z]{3}, )?\d{1,2} [a-z]{3} \d{4} \d{2}:\d{2}(?::\d{2})? (?:GMT|UTC|[+-]\d{4})", re.ASCII | re.IGNORECASE
)
_DAY_OR_MONTH = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b", re.ASCII)
_TIME = "epoch milliseconds, or ISO 8601 such as 2026-02-01T12:00:00Z"

_AMOUNT = re.compile(
    r"((?:[^\d+−.,-]|(?<=[a-z])\.)*)([+−-]?)([^\d.,]*)([.,]?\d[\d.,]*)(.*)", re.ASCII | re.DOTALL | re.IGNORECASE
)
_MINUS_BEHIND = re.compile(r"[-−](?=\W|$)", re.ASCII)  # 12.50-; 12- may be 12 without cents
_THOUSANDS_BLANK = re.compile(r"(?<=\d)[ '’\u00a0\u2009\u202f](?=\d{3}(?!\d))", re.ASCII)
_NO_CENTS = re.compile(r"[.,][-–—]{1,2}")  # 12,-
_ONE_SEPARATOR = re.compile(r"\d*[.,]?\d+", re.ASCII)
_THOUSANDS = (
    re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d+)?", re.ASCII),
    re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", re.ASCII),
)
_AMBIGUOUS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_CODES = {
    "€": "EUR", "eur": "EUR", "euro": "EUR", "£": "GBP", "gbp": "GBP", "usd": "USD", "us$": "USD", "c$": "CAD", "ca$": "CAD",
    "a$": "AUD", "au$": "AUD", "nz$": "NZD", "hk$": "HKD", "s$": "SGD", "r$": "BRL",
}  # fmt: skip
_ABBREVIATIONS = frozenset(  # of several currencies, or of none
    ("kr", "kr.", "zł", "kč", "ft", "lei", "tl", "rs", "rs.", "fr", "fr.", "sfr", "sfr.")
)

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
    """A count since 1970 in epoch ms; its size tells the unit. Seconds from 1973 on, us and ns from 2001 on.

    A date without separators (20191001, 201910010000, 20191001000000) is that date.
    """
    if isinstance(count, float) and not isfinite(count):
        raise BadRecord("bad_event_time", _TIME, "a number out of range")
    if _DATE.fullmatch(digits := str(int(count))) and (time_ms := _date_ms(digits)) is not None:
        return time_ms
    size = abs(count)
    if size < SECONDS_FROM or MS_FROM <= size < US_FROM:
        return int(count)
    if size < MS_FROM:
        return round(count * 1000)
    return int(count) // (1000 if size < NS_FROM else 1_000_000)


def _date_ms(digits: str) -> int | None:
    try:
        return _to_ms(datetime.strptime(digits, _DATES[len(digits)]))
    except ValueError:
        return None


def _to_ms(time: datetime) -> int:
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND


def _iso_ms(text: str) -> int:
    plain = _YEAR_FIRST.sub(r"\1-\2-\3", _ZONE_NAME.sub(r"\1", text), count=1)
    if zoned := _ZONED.fullmatch(plain):
        plain = zoned[1] + zoned[2] if zoned[1] else zoned[3] + "+00:00"
    try:
        return _to_ms(parsedate_to_datetime(text) if _OF_MAIL.fullmatch(text) else datetime.fromisoformat(plain))
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
    match = _AMOUNT.fullmatch(_THOUSANDS_BLANK.sub("", value.strip())) if len(value) <= MAX_TEXT else None
    if match is None:
        raise BadRecord("bad_amount", f"{name} as a number", _shown(value))
    before, sign, between, digits, after = match.groups()
    if _NO_CENTS.match(digits[-1:] + after):
        digits, after = digits[:-1], after.lstrip("-–—")
    if not sign and not digits.isdecimal() and _MINUS_BEHIND.match(after):
        sign, after = "-", after[1:]
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
    """The code of a currency mark; None if several currencies share it, such as $."""
    is_code = len(mark) == 3 and mark.isascii() and mark.isalpha() and mark.isupper()
    return mark if is_code else _CODES.get(mark.lower())


def read_list(value: Any) -> Any:
    """The list in a text of JSON, as tables hold it; any other value unchanged."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def read_consent(value: Any) -> str:
    """`denied` or `granted` from any clear no or yes. Refuses other values, so that none lifts a refusal."""
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
