"""What the answer to good events warns of: fields and types that are taken and change nothing."""

from collections.abc import Iterable, Iterator

import msgspec

from operators.configuration.nearest_name import nearest
from operators.records.contracts import Event
from operators.records.field_effects import said_of
from operators.records.field_names import given_fields
from operators.telemetry.visible import visible
from storefront.http.batches import Entry

MOST = 20
SHOWN = 64  # characters of a name of the client's


class EventWarning(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A field that has no effect. `index` (from 0) or `line` (from 1): the first event of the batch that has it."""

    field: str
    text: str
    index: int | None = None
    line: int | None = None


def warnings_of(entries: Iterable[Entry], events: Iterable[Event]) -> list[EventWarning]:
    """At most `MOST`, each once; `events` are the entries' as they were decoded."""
    found: dict[tuple[str, str], EventWarning] = {}
    for entry, event in zip(entries, events, strict=True):
        for field, about in _ineffective(entry.value, event):
            if len(found) == MOST:
                return list(found.values())
            if (field, about) not in found:
                text = about or _unknown(field)
                found[field, about] = EventWarning(
                    field=visible(field, SHOWN), text=text, index=entry.index, line=entry.line
                )
    return list(found.values())


def _ineffective(value: bytes, event: Event) -> Iterator[tuple[str, str]]:
    """Field and sentence; none yet about an unknown field, for that takes time."""
    given = given_fields(value)
    yield from said_of(event, given)
    for name in given:
        if name not in Event.__struct_fields__:
            yield name, ""


def _unknown(name: str) -> str:
    meant = nearest(name, Event.__struct_fields__)
    return "no event has this field: it has no effect" + (f"; is {meant} meant?" if meant else "")
