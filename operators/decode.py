"""Bytes of an event record -> a valid `Event`, or `BadRecord` with one of `contracts.REASONS`.

The way of a good event is short; only a bad one is looked at closely to say what is wrong with it.
"""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec

from operators.contracts import MAX_BASKET, MAX_ID, Erasure, Event, EventType
from operators.errors import BadRecord
from operators.settings import EventSettings
from operators.trace_context import kept_traceparent

_decode = msgspec.json.Decoder(Event).decode
_decode_erasure = msgspec.json.Decoder(Erasure).decode
_REQUIRED = ("event_id", "event_type", "event_time", "user_id")
_IDS = ("event_id", "user_id", "item_id", "anonymous_id", "session_id")
_NAMES = tuple(f'"{name}"'.encode() for name in (*_REQUIRED, "item_id", "items"))
_NEED_ITEM = frozenset(("view", "click", "add_to_cart", "remove_from_cart", "rate"))
_SHOWN = 200
# a byte-order mark at the front is taken for one by decoders of UTF-16, by some CSV readers and by Kafka's tools: two
# ids that look the same would be one here and two there
_BAD_ID = re.compile("^[\ufeff\ufffe]|[\x00-\x1f\x7f-\x9f]")


class EventDecoder:
    """Decodes and validates events against the limits of the settings."""

    def __init__(self, limits: EventSettings) -> None:
        self._max_bytes = limits.max_bytes
        self._max_age_ms = limits.max_age_days * 86_400_000
        self._max_future_ms = limits.max_future_minutes * 60_000
        self._rating_scale = limits.rating_scale
        self.clamped = 0

    def decode(self, key: str, value: bytes | None, now_ms: int) -> Event:
        """A valid event with `event_time` as epoch ms.

        `key` is the record's Kafka key ("" where it has none), `now_ms` the broker's time of the record, so that
        a replay decides the same. An event is not later than its record: a time up to `max_age_days` ahead becomes
        `now_ms`, counted in `clamped` where it is more than `max_future_minutes` ahead. Raises `BadRecord`.
        """
        if value is None:
            raise BadRecord("null_value", "a JSON object", "a null value")
        if len(value) > self._max_bytes:
            raise BadRecord("too_large", f"at most {self._max_bytes} bytes", f"{len(value)} bytes")
        try:
            event = _decode(value)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise diagnose(value, error) from None
        if _may_repeat_a_key(value):
            _refuse_repeated_keys(value)
        if event.user_id != key and key:
            raise BadRecord(
                "key_mismatch", "the Kafka key to be the user_id", f"key {key!r}, {event.user_id!r}"[:_SHOWN]
            )
        if not _printable(event):
            _refuse_bad_ids(event)
        if event.item_id is None and event.event_type in _NEED_ITEM:
            raise BadRecord("missing_item", f"an item_id with {event.event_type}", "none")
        if event.event_type == "rate":
            self._check_rating(event.rating)
        if event.traceparent is not None:
            event.traceparent = kept_traceparent(event.traceparent)
        event.event_time = self._check_time(event.event_time, now_ms)
        return event

    def _check_rating(self, rating: float | None) -> None:
        lowest, highest = self._rating_scale
        if rating is None:
            raise BadRecord("missing_rating", "a rating with rate", "none")
        if not lowest <= rating <= highest:
            raise BadRecord(
                "bad_amount", f"a rating from {lowest:g} to {highest:g} (events.rating_scale)", f"{rating:g}"
            )

    def _check_time(self, given: int | str, now_ms: int) -> int:
        time_ms = parse_time(given) if isinstance(given, str) else given
        if time_ms < max(0, now_ms - self._max_age_ms):
            raise BadRecord("event_time_too_old", f"a time after {now_ms - self._max_age_ms} (epoch ms)", str(given))
        if time_ms <= now_ms:
            return time_ms
        if time_ms > now_ms + self._max_age_ms:
            raise BadRecord("event_time_in_future", f"a time near {now_ms} (epoch ms)", str(given))
        self.clamped += time_ms > now_ms + self._max_future_ms
        return now_ms


def key_text(key: bytes | None) -> str:
    """A record's key as text, "" without one. What is not UTF-8 becomes lone surrogates: different keys stay
    different, and none equals an id that an event can have. `key_bytes` is the inverse."""
    return key.decode("utf-8", "surrogateescape") if key else ""


def key_bytes(text: str) -> bytes:
    """The key of `key_text`."""
    return text.encode("utf-8", "surrogateescape")


def decode_erasure(key: str, value: bytes) -> Erasure:
    """A valid erasure; `key` as in `EventDecoder.decode`. Raises `BadRecord`."""
    try:
        erasure = _decode_erasure(value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadRecord("wrong_type", "an erasure with user_id", str(error)[:_SHOWN]) from None
    for name, text in (("user_id", erasure.user_id), ("erasure_id", erasure.erasure_id)):
        refuse_bad_id(name, text)
    if key and erasure.user_id != key:
        raise BadRecord("key_mismatch", "the Kafka key to be the user_id", f"key {key!r}, {erasure.user_id!r}"[:_SHOWN])
    return erasure


def parse_time(text: str) -> int:
    """ISO 8601 -> epoch ms; a time without zone is UTC. Raises `BadRecord`."""
    try:
        time = datetime.fromisoformat(text)
        return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise BadRecord("bad_event_time", "epoch ms or ISO 8601", repr(text)[:_SHOWN]) from None


def _printable(event: Event) -> bool:
    """Cheap, and never wrong with "yes": the ids of most events are printable."""
    return (
        event.user_id.isprintable()
        and event.event_id.isprintable()
        and (event.item_id is None or event.item_id.isprintable())
        and (event.items is None or all(map(str.isprintable, event.items)))
        and (event.session_id is None or event.session_id.isprintable())
        and (event.anonymous_id is None or event.anonymous_id.isprintable())
        and (event.recommendation_id is None or event.recommendation_id.isprintable())
    )


def _refuse_bad_ids(event: Event) -> None:
    for name in (*_IDS, "recommendation_id"):
        refuse_bad_id(name, getattr(event, name))
    for item in event.items or ():
        refuse_bad_id("items", item)


def refuse_bad_id(name: str, text: str | None) -> None:
    """Raises `BadRecord` for characters that no id may have; its length is not looked at."""
    if text and (found := _BAD_ID.search(text)):
        place = f"U+{ord(found[0]):04X} at {found.start()}"
        raise BadRecord("bad_id", f"a {name} without control characters and byte-order mark", place)


def _may_repeat_a_key(value: bytes) -> bool:
    """Cheap, and never wrong with "no": an escape may hide a name, so it counts as "maybe"."""
    return b"\\" in value or any(value.count(name) > 1 for name in _NAMES)


class _RepeatedKey(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKey(next(name for name in names if names.count(name) > 1))
    return found


def _refuse_repeated_keys(value: bytes) -> None:
    try:
        json.loads(value, object_pairs_hook=_unique)
    except _RepeatedKey as error:
        raise BadRecord("duplicate_key", "each key once", f"{error} twice"[:_SHOWN]) from None
    except (ValueError, RecursionError) as error:  # in a field that msgspec skips unread
        raise diagnose(value, error) from None


def diagnose(value: bytes, error: Exception) -> BadRecord:
    """What is wrong with a value that did not decode."""
    if not value.strip():
        return BadRecord("empty_value", "a JSON object", "an empty value")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as found:
        return BadRecord("not_utf8", "UTF-8", str(found))
    if isinstance(error, RecursionError):
        return BadRecord("too_deep", "an object of a few levels", "hundreds of levels")
    try:
        fields = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except _RepeatedKey as found:
        return BadRecord("duplicate_key", "each key once", f"{found} twice"[:_SHOWN])
    except RecursionError:
        return BadRecord("too_deep", "an object of a few levels", "hundreds of levels")
    except ValueError as found:
        return BadRecord("not_json", "JSON", str(found)[:_SHOWN])
    return _diagnose_fields(fields, error)


def _diagnose_fields(fields: Any, error: Exception) -> BadRecord:
    if not isinstance(fields, dict):
        return BadRecord("not_an_object", "a JSON object", type(fields).__name__)
    for name in _REQUIRED:
        if name not in fields:
            return BadRecord("missing_field", f"the field {name}", "an object without it")
    kind = fields["event_type"]
    if isinstance(kind, str) and kind not in get_args(EventType):
        return BadRecord("unknown_event_type", f"one of {', '.join(get_args(EventType))}", repr(kind)[:_SHOWN])
    for name in _IDS:
        found = fields.get(name)
        if isinstance(found, str) and not 0 < len(found) <= MAX_ID:
            return BadRecord("bad_id", f"a {name} of 1 to {MAX_ID} characters", f"{len(found)} characters")
    items = fields.get("items")
    if isinstance(items, list) and len(items) > MAX_BASKET:
        return BadRecord("wrong_type", f"at most {MAX_BASKET} items", f"{len(items)} items")
    if any(isinstance(found, float) and not math.isfinite(found) for found in fields.values()):
        return BadRecord("not_json", "finite numbers", "a number out of range")
    if any(isinstance(found, str) and _has_surrogate(found) for found in fields.values()):
        return BadRecord("not_utf8", "text without lone surrogates", "a lone surrogate")
    return BadRecord("wrong_type", "the types of docs/schemas/event.json", str(error)[:_SHOWN])


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
