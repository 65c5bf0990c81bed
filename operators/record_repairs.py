"""Repairs of refused records that need a person's yes: each is a guess at what the sender meant.

What can be read one way only is read so at once by the decoders and needs no repair.
"""

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.contracts import EVENTS, MAX_ID, Event
from operators.dead_letter import Letter
from operators.decode import parse_time
from operators.errors import BadRecord

Fields = dict[str, Any]
IDS = ("event_id", "user_id", "item_id", "anonymous_id", "session_id", "recommendation_id", "erasure_id")
_EDGES = re.compile("^[\\s\ufeff\ufffe\x00-\x1f\x7f-\x9f]+|[\\s\ufeff\ufffe\x00-\x1f\x7f-\x9f]+$")
_DAY_FIRST = re.compile(r"\s*(\d{1,2})[./-](\d{1,2})[./-](\d{4})\b[ T,]*(.*)", re.DOTALL)
_MS_OF = (1, 1000, 1e-3, 1e-6)  # milliseconds, seconds, microseconds, nanoseconds


@dataclass(frozen=True)
class Repairs:
    """What may be done to a record: `fixes` of `FIXES`, `renames` of fields (old name -> new) and of event `types`."""

    fixes: frozenset[str] = frozenset()
    renames: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)

    def repaired(self, letter: Letter, oldest_ms: int) -> "Repaired | None":
        """The record with what fits of the repairs; None where none did, and where the value is no JSON object.

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
        """In the order in which they are done."""
        steps: list[tuple[str, Callable[[Fields], None]]] = [
            ("rename", lambda fields: _rename(fields, self.renames)),
            ("text-ids", _ids_as_text),
            ("blanks", _strip_ids),
        ]
        if letter.topic == EVENTS:
            steps += [
                ("type", lambda fields: _rename_type(fields, self.types)),
                ("event-id", lambda fields: _give_event_id(fields, letter.place)),
                ("day-first", _day_first),
                ("time", lambda fields: _mend_time(fields, oldest_ms, letter.at_ms)),
                ("size", _keep_known_fields),
            ]
        return [(name, fix) for name, fix in steps if name in self.fixes or name in ("rename", "type")]

    def _key(self, key: bytes | None, user: object) -> bytes | None:
        if not key or not isinstance(user, str):
            return key
        same = "blanks" in self.fixes and _stripped(key.decode("utf-8", "replace")) == user
        return user.encode() if same or "key" in self.fixes else key


@dataclass(frozen=True)
class Repaired:
    """The key and value to put back, and which repairs made them."""

    key: bytes | None
    value: bytes
    fixes: tuple[str, ...]


FIXES = {
    "blanks": "blanks, control characters and byte-order marks around ids are taken away",
    "text-ids": "ids that are numbers become text",
    "event-id": "an event_id that is missing, empty or too long becomes TOPIC-PARTITION-OFFSET of the refused record",
    "key": "where the Kafka key is not the user_id, the user_id counts",
    "time": "seconds, micro- and nanoseconds become milliseconds; a time that is missing, unreadable, too old or later "
    "than the letter becomes the letter's, unless that is too old itself",
    "day-first": "27/11/2026 is the 27th of November",
    "last-key": "of a key that stands twice in an object the last one counts",
    "nan": "NaN, Infinity and numbers out of range are left out",
    "latin1": "bytes that are no UTF-8 are read as Windows-1252",
    "size": "fields that nobody reads are left out",
}


def _parsed(value: bytes | None, fixes: Collection[str], done: list[str]) -> Any:
    """Raises `ValueError` for what is no JSON, or is some with a fix that is not among `fixes` alone."""

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


def _ids_as_text(fields: Fields) -> None:
    def text(found: Any) -> Any:
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        return str(found) if isinstance(found, int) and not isinstance(found, bool) else found

    _each_id(fields, text)


def _stripped(text: str) -> str:
    return _EDGES.sub("", text)


def _strip_ids(fields: Fields) -> None:
    _each_id(fields, lambda found: _stripped(found) if isinstance(found, str) else found)


def _give_event_id(fields: Fields, place: str) -> None:
    found = fields.get("event_id")
    if found is None or (isinstance(found, str) and not 0 < len(found.strip()) <= MAX_ID):
        fields["event_id"] = place


def _day_first(fields: Fields) -> None:
    found = fields.get("event_time")
    if isinstance(found, str) and (parts := _DAY_FIRST.fullmatch(found)):
        day, month, year, rest = parts.groups()
        fields["event_time"] = f"{year}-{month:>02}-{day:>02}T{rest.strip()}".removesuffix("T")


def _mend_time(fields: Fields, oldest_ms: int, latest_ms: int) -> None:
    as_given, *other = _readings(fields.get("event_time")) or [-1]
    if not oldest_ms <= as_given <= latest_ms:
        fields["event_time"] = next((ms for ms in other if oldest_ms <= ms <= latest_ms), latest_ms)


def _readings(given: Any) -> list[int]:
    """What a time can mean, epoch ms; first as an event has it: ISO 8601, or a whole number of milliseconds."""
    try:
        if isinstance(given, str):
            return [parse_time(given)]
    except BadRecord:
        pass
    try:
        readings = [int(float(given) * factor) for factor in _MS_OF]
    except (TypeError, ValueError, OverflowError):
        return []
    return readings if isinstance(given, int) else [-1, *readings]


def _keep_known_fields(fields: Fields) -> None:
    for name in fields.keys() - set(Event.__struct_fields__):
        del fields[name]
