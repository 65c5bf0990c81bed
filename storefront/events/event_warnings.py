"""Warnings in the answer to good events: accepted fields and types that have no effect."""

from collections.abc import Iterable, Sequence

import msgspec

from operators.records.contracts import Event
from operators.records.field_effects import field_warnings
from operators.telemetry.visible import visible
from storefront.http.batches import Entry

SHOWN = 64  # characters of a client's field name


class EventWarning(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A field that has no effect. `index` (from 0) or `line` (from 1): the first event of the batch that has it."""

    field: str
    text: str
    index: int | None = None
    line: int | None = None


def warnings_of(entries: Sequence[Entry], events: Iterable[Event]) -> list[EventWarning]:
    """Each warning once. `events`: the decoded `entries`, in the same order."""
    warnings = field_warnings(zip((entry.value for entry in entries), events, strict=True))
    return [
        EventWarning(
            field=visible(warning.field, SHOWN),
            text=warning.text,
            index=entries[warning.index].index,
            line=entries[warning.index].line,
        )
        for warning in warnings
    ]
