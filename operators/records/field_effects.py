"""The effect of each optional field of an event, and the accepted fields and types without effect. `validate`, the API and
the docs report them, so that no field is ignored silently."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, get_args

from operators.configuration.nearest_name import nearest
from operators.records.contracts import NEED_ITEM, Event, EventType
from operators.records.field_names import fields_with_values

MAX_WARNINGS = 20  # warnings about several events

_ALL = frozenset(get_args(EventType))
_OF_ITEM = NEED_ITEM | {"purchase"}
_JOINED = frozenset(("impression", "click", "add_to_cart", "purchase"))
_NONE: frozenset[str] = frozenset()


class FieldEffect(NamedTuple):
    """With which event types a field has an effect, and what it does, in a sentence without its subject."""

    types: frozenset[str]
    text: str


FIELD_EFFECTS: dict[str, FieldEffect] = {
    "item_id": FieldEffect(_OF_ITEM | {"impression"}, "names the product"),
    "items": FieldEffect(frozenset(("impression", "purchase")), "names the shown products, or the bought basket"),
    "query": FieldEffect(frozenset(("search",)), "teaches the search task of a training; lists do not use it yet"),
    "anonymous_id": FieldEffect(_NONE, "does nothing yet: a guest's history does not move to the account"),
    "session_id": FieldEffect(_ALL - {"impression"}, "begins a new session where it changes, and keeps a session open"),
    "recommendation_id": FieldEffect(_OF_ITEM | {"impression"}, "counts the event for the list that it names"),
    "position": FieldEffect(_JOINED, "goes into the examples, where `feedback.enabled` is set"),
    "placement": FieldEffect(_JOINED, "goes into the examples, where `feedback.enabled` is set"),
    "price": FieldEffect(_OF_ITEM, "is compared with the catalogue, never learned from"),
    "currency": FieldEffect(_OF_ITEM, "is compared with the catalogue, never learned from"),
    "quantity": FieldEffect(
        frozenset(("purchase",)), "tells a return (below 0) from a purchase; how many does nothing"
    ),
    "rating": FieldEffect(frozenset(("rate",)), "counts against the item below the middle of `events.rating_scale`"),
    "context": FieldEffect(frozenset(("consent",)), "says by `personalisation` whether lists may be personal"),
    "traceparent": FieldEffect(_ALL, "lets the list be traced where its sampled flag is set"),
    "schema_version": FieldEffect(_ALL, "must be 1"),
}
# accepted and counted in the version; the list stays the same
NO_EFFECT_TYPES: dict[str, str] = {"identify": "does nothing yet: a guest's history does not move to the account"}


def without_effect(event: Event) -> list[str]:
    """The fields that this event sets and that change nothing, in the order of `FIELD_EFFECTS`.

    Of a quantity only 1 and values below 0 have a meaning.
    """
    return [
        name
        for name, effect in FIELD_EFFECTS.items()
        if (value := getattr(event, name)) is not None
        and (event.event_type not in effect.types or (name == "quantity" and not (value == 1 or value < 0)))
    ]


def remarks_on(event: Event, fields: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Field and sentence for each field that this event sets and that changes nothing. `fields`: the names in the record."""
    if about := NO_EFFECT_TYPES.get(event.event_type):
        yield "event_type", f"{event.event_type} {about}"
    for name in without_effect(event):
        types, about = FIELD_EFFECTS[name]
        idle = bool(types) and event.event_type not in types
        yield name, f"{name} has no effect with {event.event_type}" if idle else f"{name} {about}"
    if event.traceparent is None and "traceparent" in fields:
        yield "traceparent", "traceparent is not that of W3C Trace Context: it is left out"


@dataclass(frozen=True)
class FieldWarning:
    """A field without effect, a sentence about it, and the place (from 0) of the first event that has it."""

    index: int
    field: str
    text: str


def field_warnings(events: Iterable[tuple[bytes, Event]]) -> list[FieldWarning]:
    """At most `MAX_WARNINGS` distinct warnings. `events`: pairs of bytes and decoded event."""
    warnings: dict[tuple[str, str], FieldWarning] = {}
    for index, (value, event) in enumerate(events):
        for field, text in _without_effect(value, event):
            if len(warnings) == MAX_WARNINGS:
                return list(warnings.values())
            if (field, text) not in warnings:
                warnings[field, text] = FieldWarning(index, field, text or _unknown(field))
    return list(warnings.values())


def _without_effect(value: bytes, event: Event) -> Iterator[tuple[str, str]]:
    """Field and sentence. The sentence of an unknown field is empty: the caller searches the nearest name, which is slow."""
    fields = fields_with_values(value)
    yield from remarks_on(event, fields)
    for name in fields:
        if name not in Event.__struct_fields__:
            yield name, ""


def _unknown(name: str) -> str:
    suggestion = nearest(name, Event.__struct_fields__)
    return "no event has this field: it has no effect" + (f"; is {suggestion} meant?" if suggestion else "")
