"""What the answer to good events warns of: fields and types that are taken and change nothing."""

from collections.abc import Iterable, Sequence

import msgspec

from operators.records.contracts import Event
from operators.records.field_effects import field_warnings
from operators.telemetry.visible import visible
from storefront.http.batches import Entry

SHOWN = 64  # characters of a name of the client's


class EventWarning(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A field that has no effect. `index` (from 0) or `line` (from 1): the first event of the batch that has it."""

    field: str
    text: str
    index: int | None = None
    line: int | None = None


def warnings_of(entries: Sequence[Entry], events: Iterable[Event]) -> list[EventWarning]:
    """Each once; `events` are the entries' as they were decoded."""
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
