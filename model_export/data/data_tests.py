"""Tests the data before a training, and stops it with a reason if the data would give a useless model."""

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from operators.errors import EventsFileError
from operators.records.contracts import Event, items_named

MIN_USERS, MIN_ITEMS = 10, 10
MAX_TOP_ITEM, MAX_TOP_USER, MAX_SAME_TIME, MAX_COPIES = 0.5, 0.5, 0.5, 0.2

# the expectation of the whole table -> its check
_TABLE = {
    f"events of at least {MIN_USERS} users": lambda t: t["user_id"].nunique() >= MIN_USERS,
    f"events of at least {MIN_ITEMS} items": lambda t: t["items"].explode().nunique() >= MIN_ITEMS,
    f"at most {MAX_TOP_ITEM:.0%} of the events on one item": lambda t: _top_share(t["items"].explode()) <= MAX_TOP_ITEM,
    f"at most {MAX_TOP_USER:.0%} of the events by one user: a robot, or a missing id": lambda t: (
        _top_share(t["user_id"]) <= MAX_TOP_USER
    ),
    f"at most {MAX_SAME_TIME:.0%} of the events at the same millisecond: times of an export, not of the shop": lambda t: (
        _top_share(t["event_time"]) <= MAX_SAME_TIME
    ),
    f"at most {MAX_COPIES:.0%} of the event ids twice": lambda t: t["event_id"].duplicated().mean() <= MAX_COPIES,
}


def _top_share(column: "pd.Series[object]") -> float:
    counts = column.value_counts(normalize=True)
    return float(counts.iloc[0]) if len(counts) else 1.0


SCHEMA = pa.DataFrameSchema(
    {
        "event_id": pa.Column(str),
        "event_type": pa.Column(str),
        "event_time": pa.Column("int64", pa.Check.gt(0, error="event times after 1970")),
        "user_id": pa.Column(str),
    },
    checks=[pa.Check(check, error=name) for name, check in _TABLE.items()],
)


def check_training_data(events: Sequence[Event], source: str) -> None:
    """Raises `EventsFileError` that names all failed checks."""
    table = pd.DataFrame(
        {
            "event_id": [event.event_id for event in events],
            "event_type": [event.event_type for event in events],
            "event_time": pd.array([int(event.event_time) for event in events], dtype="int64"),
            "user_id": [event.user_id for event in events],
            "items": pd.Series(
                [[] if event.event_type == "impression" else items_named(event) for event in events], dtype=object
            ),
        }
    )
    try:
        SCHEMA.validate(table, lazy=True)
    except SchemaErrors as error:
        failed_checks = sorted({str(check) for check in error.failure_cases["check"]})
        raise EventsFileError(
            "; ".join(failed_checks),
            f"events of {source} that are not so",
            "liveshelf profile shows them; correct the export",
        ) from None
