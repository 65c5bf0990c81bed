"""What a shop is warned of when its events are taken: fields and types that change nothing, and fields that no event has."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from operators.configuration.nearest_name import nearest
from operators.records.contracts import Event
from operators.records.field_effects import said_of
from operators.records.field_names import given_fields

MOST = 20


class FieldWarning(NamedTuple):
    """A field without effect, a sentence about it, and the place (from 0) of the first event that has it."""

    index: int
    field: str
    text: str


def field_warnings(events: Iterable[tuple[bytes, Event]]) -> list[FieldWarning]:
    """At most `MOST`, each once. Of each event its bytes and what was decoded from them."""
    warnings: dict[tuple[str, str], FieldWarning] = {}
    for index, (value, event) in enumerate(events):
        for field, text in _without_effect(value, event):
            if len(warnings) == MOST:
                return list(warnings.values())
            if (field, text) not in warnings:
                warnings[field, text] = FieldWarning(index, field, text or _unknown(field))
    return list(warnings.values())


def _without_effect(value: bytes, event: Event) -> Iterator[tuple[str, str]]:
    """Field and sentence; no sentence yet about an unknown field, for the search for its neighbour takes time."""
    given = given_fields(value)
    yield from said_of(event, given)
    for name in given:
        if name not in Event.__struct_fields__:
            yield name, ""


def _unknown(name: str) -> str:
    meant = nearest(name, Event.__struct_fields__)
    return "no event has this field: it has no effect" + (f"; is {meant} meant?" if meant else "")
