"""Repairs of refused records. Each guesses what the sender meant, so a person must choose it.

The decoders convert unambiguous values by themselves; those need no repair.
"""

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.errors import BadRecord
from operators.records.contracts import EVENTS, MAX_ID, Event
from operators.records.dead_letter import Letter
from operators.records.written_values import read_amount, read_time

Fields = dict[str, Any]
IDS = ("event_id", "user_id", "item_id", "anonymous_id", "session_id", "recommendation_id", "placement", "erasure_id")
_EDGES = re.compile("^[\\s\ufeff\ufffe\x00-\x1f\x7f-\x9f]+|[\\s\ufeff\ufffe\x00-\x1f\x7f-\x9f]+$")
_NUMBERED_DATE = re.compile(r"\s*(\d{1,2})[./-](\d{1,2})[./-](\d{4})\b[ T,]*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Repairs:
    """The allowed repairs of a record: `fixes` of `FIXES`, `renames` of fields (old name -> new) and of event `types`."""

    fixes: frozenset[str] = frozenset()
    renames: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)

    def repaired(self, letter: Letter, oldest_ms: int) -> "Repaired | None":
        """The record after the repairs that apply; None if none applies or the value is no JSON object.

        `oldest_ms`: the oldest time (epoch ms) that is accepted.
        """
        done: list[str] = []
        try:
            fields = _parsed(letter.value, self.fixes, done)
            if not isinstance(fields, dict):
                return None
            for name, fix in self._steps(letter, oldest_ms):
                before = fields.copy()
                fix(fields)
                if fields != before:
                    done.append(name)
            value = json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, OverflowError, RecursionError):
            return None
        key = self._key(letter.key, fields.get("user_id"))
        if key != letter.key:
            done.append("key" if "key" in self.fixes else "blanks")
        return Repaired(key, value, tuple(dict.fromkeys(done))) if done else None

    def _steps(self, letter: Letter, oldest_ms: int) -> list[tuple[str, Callable[[Fields], None]]]:
        """The repairs in their order."""
        steps: list[tuple[str, Callable[[Fields], None]]] = [
            ("rename", lambda fields: _rename(fields, self.renames)),
            ("blanks", _strip_ids),
        ]
        if letter.topic == EVENTS:
            steps += [
                ("type", lambda fields: _rename_type(fields, self.types)),
                ("event-id", lambda fields: _give_event_id(fields, letter.place)),
                ("day-first", lambda fields: _order_date(fields, "{2}-{1:>02}-{0:>02}")),
                ("month-first", lambda fields: _order_date(fields, "{2}-{0:>02}-{1:>02}")),
                ("time", lambda fields: _mend_time(fields, oldest_ms, letter.at_ms)),
                ("price", _leave_out_price),
                ("size", _drop_unknown_fields),
            ]
        return [(name, fix) for name, fix in steps if name in self.fixes or name in ("rename", "type")]

    def _key(self, key: bytes | None, user: object) -> bytes | None:
        if not key or not isinstance(user, str):
            return key
        same = "blanks" in self.fixes and _stripped(key.decode("utf-8", "replace")) == user
        return user.encode() if same or "key" in self.fixes else key


@dataclass(frozen=True)
class Repaired:
    """The repaired key and value, and the repairs that changed them."""

    key: bytes | None
    value: bytes
    fixes: tuple[str, ...]


FIXES = {
    "blanks": "blanks, control characters and byte-order marks around ids are taken away",
    "event-id": "an event_id that is missing, empty or too long becomes TOPIC-PARTITION-OFFSET of the refused record",
    "key": "where the Kafka key is not the user_id, the user_id counts",
    "time": "a time that is missing, unreadable, too old or later than the letter becomes the letter's, unless that is too "
    "old itself",
    "day-first": "3/11/2026 is the 3rd of November; not in `all`",
    "month-first": "3/11/2026 is the 11th of March; not in `all`",
    "price": "a price that cannot be read is left out",
    "last-key": "of a key that stands twice in an object the last one counts",
    "nan": "NaN, Infinity and numbers out of range are left out",
    "latin1": "bytes that are no UTF-8 are read as Windows-1252",
    "size": "fields that nobody reads are left out",
}
ALL = frozenset(FIXES) - {"day-first", "month-first"}


def _parsed(value: bytes | None, fixes: Collection[str], done: list[str]) -> Any:
    """Raises `ValueError` if the value is no JSON, or only with a repair that is not in `fixes`."""

    def allow(name: str) -> None:
        if name not in fixes:
            raise ValueError(f"needs {name}")
        done.append(name)

    def unique(pairs: list[tuple[str, Any]]) -> Fields:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            allow("last-key")
        return fields

    def finite(text: str) -> float | None:
        number = float(text)
        if math.isfinite(number):
            return number
        allow("nan")
        return None

    raw = value or b""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        allow("latin1")
        text = raw.decode("cp1252")
    return json.loads(text, object_pairs_hook=unique, parse_constant=finite, parse_float=finite)


def _rename(fields: Fields, renames: Mapping[str, str]) -> None:
    for old, new in renames.items():
        if old in fields and fields.get(new) is None:
            fields[new] = fields.pop(old)


def _rename_type(fields: Fields, types: Mapping[str, str]) -> None:
    kind = fields.get("event_type")
    if isinstance(kind, str) and kind in types:
        fields["event_type"] = types[kind]


def _each_id(fields: Fields, change: Callable[[Any], Any]) -> None:
    for name in IDS:
        if name in fields:
            fields[name] = change(fields[name])
    if isinstance(fields.get("items"), list):
        fields["items"] = [change(item) for item in fields["items"]]


def _stripped(text: str) -> str:
    return _EDGES.sub("", text)


def _strip_ids(fields: Fields) -> None:
    _each_id(fields, lambda text: _stripped(text) if isinstance(text, str) else text)


def _give_event_id(fields: Fields, place: str) -> None:
    event_id = fields.get("event_id")
    if event_id is None or (isinstance(event_id, str) and not 0 < len(event_id.strip()) <= MAX_ID):
        fields["event_id"] = place


def _order_date(fields: Fields, iso: str) -> None:
    text = fields.get("event_time")
    if isinstance(text, str) and (parts := _NUMBERED_DATE.fullmatch(text)):
        *date, time = parts.groups()
        time = f"0{time}" if time[1:2] == ":" else time
        fields["event_time"] = f"{iso.format(*date)}T{time.strip()}".removesuffix("T")


def _mend_time(fields: Fields, oldest_ms: int, latest_ms: int) -> None:
    try:
        time_ms = read_time(fields.get("event_time"))
    except BadRecord:
        time_ms = -1
    if not oldest_ms <= time_ms <= latest_ms:
        fields["event_time"] = latest_ms


def _leave_out_price(fields: Fields) -> None:
    price = fields.get("price")
    try:
        is_bad = price is not None and read_amount("price", price).number < 0 and fields.get("event_type") != "purchase"
    except BadRecord:
        is_bad = True
    if is_bad:
        del fields["price"]


def _drop_unknown_fields(fields: Fields) -> None:
    for name in fields.keys() - set(Event.__struct_fields__):
        del fields[name]
