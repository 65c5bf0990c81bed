"""The formats of `liveshelf import`, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from operators.adapters.event_names import EventNames
from operators.adapters.fields import Record
from operators.adapters.formats import (
    cloudevents,
    ga4,
    google_retail,
    jd_micro,
    metarank,
    personalize,
    rees46,
    retailrocket,
    segment,
    snowplow,
    table,
)

Events = Callable[[Record, EventNames], list[Record]]


@dataclass(frozen=True)
class Format:
    """A source of events. `expected` says what its records have; `looks` recognises one; `events` maps one, and raises
    `BadRecord`.

    `lower`: columns of its tables are known in lower case. `headerless`: the columns of its table, which has no header.
    `lines`: a record is a line of text. `columns`: our field -> the column of a table; None where docs/import.md says it.
    """

    name: str
    expected: str
    looks: Callable[[Record], bool]
    events: Events
    lower: bool = False
    headerless: tuple[str, ...] = ()
    lines: bool = False
    columns: Mapping[str, str] | None = None


@dataclass(frozen=True)
class TableMap:
    """How to read a shop's own table. `fields`: our field -> the column; `event_type`: of all rows of a file without one."""

    fields: Mapping[str, str] = field(default_factory=dict)
    event_type: str | None = None


FORMATS: dict[str, Format] = {
    source.name: source
    for source in (
        Format("cloudevents", "specversion, id, source, type and data", cloudevents.looks, cloudevents.events),
        Format("segment", "type, userId or anonymousId, and event", segment.looks, segment.events),
        Format("ga4", "event_name, event_timestamp, user_pseudo_id and items", ga4.looks, ga4.events),
        Format(
            "snowplow",
            "event_id, collector_tstamp and event_name",
            snowplow.looks,
            snowplow.events,
            lower=True,
            headerless=snowplow.ENRICHED,
        ),
        Format("google-retail", "eventType, visitorId and eventTime", google_retail.looks, google_retail.events),
        Format("metarank", "event, id, timestamp and user", metarank.looks, metarank.events),
        Format("retailrocket", ", ".join(retailrocket.REQUIRED), retailrocket.looks, retailrocket.events, lower=True),
        Format("rees46", ", ".join(rees46.REQUIRED), rees46.looks, rees46.events, lower=True),
        Format("personalize", "USER_ID, ITEM_ID and TIMESTAMP", personalize.looks, personalize.events, lower=True),
        Format("jd-micro", "sku+behaviour+category+interval+dwell", jd_micro.looks, jd_micro.events, lines=True),
    )
}
CSV = "csv"
NAMES = (*FORMATS, CSV)
TYPED = (CSV, "personalize")  # formats whose files may have no event type


def format_of(name: str, columns: tuple[str, ...], rows: TableMap) -> Format:
    """The format of this name, for a file with these columns. Raises `EventsFileError` where the map does not fit them."""
    if name == CSV:
        chosen = table.columns_of(rows.fields, columns, rows.event_type is not None)
        events: Events = partial(table.events, columns=chosen, event_type=rows.event_type)
        return Format(CSV, "the columns of the map", lambda record: True, events, columns=chosen)
    known = FORMATS[name]
    if rows.event_type is None:
        return known
    return Format(
        known.name, known.expected, known.looks, partial(personalize.events, event_type=rows.event_type), lower=True
    )


def guess(record: Record) -> str | None:
    """The format that a record looks like, also with its columns in lower case; None for no known one."""
    lowered = {name.lower(): value for name, value in record.items()}
    for source in FORMATS.values():
        if source.looks(record) or (source.lower and source.looks(lowered)):
            return source.name
    return None
