"""Bytes of an event record -> a valid `Event`, or `BadRecord` with one of `contracts.DEAD_LETTER_REASONS`.

A good event takes the short path. Only an event that is bad or has an unusual form is examined closely.
"""

from collections import Counter

import msgspec

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.records.contracts import Erasure, Event
from operators.records.event_repair import check_items, check_rating, converted, refuse_bad_id, settle
from operators.records.json_objects import read_object, refuse_repeated_keys
from operators.records.trace_context import forwarded_traceparent
from operators.records.written_values import MS_FROM, SECONDS_FROM, SHOWN, in_ms, read_id, read_time
from operators.time_units import DAY_MS

_decode = msgspec.json.Decoder(Event).decode
_decode_erasure = msgspec.json.Decoder(Erasure).decode
_NAMES = tuple(f'"{name}"'.encode() for name in ("event_id", "event_type", "event_time", "user_id", "item_id", "items"))
ANY_AGE_MS = 10**14  # 3,000 years
_EXAMINED_TYPES = frozenset(("purchase", "consent"))  # their values need a check beyond their form
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


class EventDecoder:
    """Decodes and validates events against the limits of the settings.

    `clamped` counts events from the future, `repaired` the fields that were converted.
    """

    def __init__(self, limits: EventSettings, *, any_age: bool = False, repaired: Counter[str] | None = None) -> None:
        """`any_age`: accept old events, as a file may hold them."""
        self._max_bytes = limits.max_bytes
        self._max_age_ms = limits.max_age_days * DAY_MS
        self._max_future_ms = limits.max_future_minutes * 60_000
        self._past_ms = ANY_AGE_MS if any_age else self._max_age_ms
        self._rating_scale = limits.rating_scale
        self._placeholders = limits.placeholders
        self._ends = frozenset((" ", *(end for text in self._placeholders for end in (text[-1:], text[-1:].upper()))))
        self.clamped = 0
        self.repaired: Counter[str] = Counter() if repaired is None else repaired

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
        repaired: list[str] = []
        try:
            event = _decode(value)
        except _UNREADABLE:
            event, repaired = converted(value)
        else:
            if _may_repeat_a_key(value):
                refuse_repeated_keys(value)
        if event.user_id != key and key:
            raise BadRecord(
                "key_mismatch", "the Kafka key to be the user_id", f"key {key!r}, {event.user_id!r}"[:SHOWN]
            )
        if not self._is_plain(event):
            repaired += settle(event, self._placeholders)
        if event.item_id is None:
            check_items(event)
        if event.event_type == "rate":
            check_rating(event, self._rating_scale)
        if event.traceparent is not None:
            event.traceparent = forwarded_traceparent(event.traceparent)
        sent = event.event_time
        if type(sent) is not int or sent < MS_FROM or not now_ms - self._past_ms <= sent <= now_ms:
            time_ms = read_time(sent) if isinstance(sent, str) else in_ms(sent)
            repaired += [] if time_ms == sent or _is_iso(sent) else ["event_time"]
            event.event_time = self._in_limits(time_ms, sent, now_ms)
        if repaired:
            self.repaired.update(repaired)
        return event

    def _in_limits(self, time_ms: int, sent: int | str, now_ms: int) -> int:
        earliest = max(SECONDS_FROM, now_ms - self._past_ms)
        if time_ms < earliest:
            raise BadRecord("event_time_too_old", f"a time after {earliest} (epoch ms)", str(sent)[:SHOWN])
        if time_ms <= now_ms:
            return time_ms
        if time_ms > now_ms + self._max_age_ms:
            raise BadRecord("event_time_in_future", f"a time near {now_ms} (epoch ms)", str(sent)[:SHOWN])
        self.clamped += time_ms > now_ms + self._max_future_ms
        return now_ms

    def _is_plain(self, event: Event) -> bool:
        """Cheap. True only for an event that needs no closer look, as most do. Printable text has no white space other
        than blanks."""
        user, item, items = event.user_id, event.item_id, event.items
        return (
            event.event_type not in _EXAMINED_TYPES
            and user.isprintable()
            and user[0] != " "
            and (user[-1] not in self._ends or self._names_somebody(user))
            and event.event_id.isprintable()
            and (
                item is None
                or (
                    item.isprintable()
                    and item[0] != " "
                    and (item[-1] not in self._ends or self._names_somebody(item))
                    and event.event_type != "impression"
                )
            )
            and (items is None or _are_plain(items, self._placeholders))
            and (event.session_id is None or (event.session_id.isprintable() and " " not in event.session_id))
            and (event.price is None or event.price >= 0)
            and (event.anonymous_id is None or event.anonymous_id.isprintable())
            and (event.recommendation_id is None or event.recommendation_id.isprintable())
            and (event.placement is None or event.placement.isprintable())
        )

    def _names_somebody(self, name: str) -> bool:
        return name[-1] != " " and name.lower() not in self._placeholders


def _are_plain(items: list[str], placeholders: frozenset[str]) -> bool:
    joined = "".join(items)
    return (
        joined.isprintable()
        and " " not in joined
        and "" not in items
        and placeholders.isdisjoint(map(str.lower, items))
    )


def _is_iso(sent: int | str) -> bool:
    """Whether a valid time has the form that docs/events.md asks for: ISO 8601."""
    return isinstance(sent, str) and sent[4:5] == "-" and " " not in sent


def key_text(key: bytes | None) -> str:
    """A record's key as text, "" without one. What is not UTF-8 becomes lone surrogates: different keys stay
    different, and none equals an id that an event can have. `key_bytes` is the inverse."""
    return key.decode("utf-8", "surrogateescape") if key else ""


def key_bytes(text: str) -> bytes:
    """The key of `key_text`."""
    return text.encode("utf-8", "surrogateescape")


def decode_erasure(key: str, value: bytes) -> Erasure:
    """A valid erasure; `key` as in `EventDecoder.decode`, a number as an id too. Raises `BadRecord`."""
    try:
        erasure = _decode_erasure(value)
    except _UNREADABLE:
        erasure = _converted_erasure(value)
    for name, text in (("user_id", erasure.user_id), ("erasure_id", erasure.erasure_id)):
        refuse_bad_id(name, text)
    if key and erasure.user_id != key:
        raise BadRecord("key_mismatch", "the Kafka key to be the user_id", f"key {key!r}, {erasure.user_id!r}"[:SHOWN])
    return erasure


def _converted_erasure(value: bytes) -> Erasure:
    fields = read_object(value)
    fields |= {name: read_id(name, fields[name]) for name in ("user_id", "erasure_id") if name in fields}
    try:
        return msgspec.convert(fields, Erasure)
    except _UNREADABLE as error:
        raise BadRecord("wrong_type", "an erasure with user_id", str(error)[:SHOWN]) from None


def _may_repeat_a_key(value: bytes) -> bool:
    """Cheap. False only if no key repeats; an escape may hide a name, so it counts as a possible repeat."""
    for name in _NAMES:  # `any` over a generator takes twice as long
        if value.count(name) > 1:
            return True
    return b"\\" in value
