"""The topic of experiments: what a record must hold, and what leaves the row as it is."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from operators.experiments.experiment_rows import ExperimentRecord, ExperimentRows, read_record
from operators.experiments.plan import ExperimentPlan, plan_of_shares
from operators.kafka_io.row_rules import Refused

PLAN = plan_of_shares("sizes", {"control": 0.5, "wide": 0.5})
RECORD = ExperimentRecord(plan=PLAN, started_at=1000, who="anna@shop", why="longer lists")
FIELDS: dict[str, Any] = msgspec.to_builtins(RECORD)


def take(value: bytes | None, key: str | None = "sizes", old: bytes | None = None) -> Any:
    record = SimpleNamespace(key=None if key is None else key.encode(), value=value, headers=[])
    return ExperimentRows().take(old, record, 0)


def test_a_record_comes_back_from_its_bytes_and_replaces_the_row() -> None:
    value = msgspec.json.encode(RECORD)
    assert take(value, old=b"an older one") == (value, RECORD) and ExperimentRows().read(value) == RECORD


def test_fields_of_a_newer_release_are_no_obstacle_but_unknown_fields_of_a_plan_are() -> None:
    assert read_record(msgspec.json.encode(FIELDS | {"approved_by": "bea"})) == RECORD
    assert read_record(msgspec.json.encode(FIELDS | {"plan": FIELDS["plan"] | {"colour": "red"}})) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        msgspec.json.encode(FIELDS | {"started_at": "now"}),
        msgspec.json.encode(FIELDS | {"started_at": 2**60}),  # no calendar has that day
        msgspec.json.encode(FIELDS | {"plan": FIELDS["plan"] | {"begin": 0.9, "end": 0.1}}),
        msgspec.json.encode(FIELDS | {"plan": FIELDS["plan"] | {"arms": [{"name": "a", "share": 1.5}]}}),
    ],
)
def test_what_is_no_plan_leaves_the_row(value: bytes) -> None:
    with pytest.raises(Refused, match="not_a_plan"):
        take(value)


def test_a_tombstone_and_another_key_leave_the_row() -> None:
    with pytest.raises(Refused, match="tombstone"):
        take(None)
    for key in ("other", None):
        with pytest.raises(Refused, match="key_mismatch"):
            take(msgspec.json.encode(RECORD), key)


def test_a_plan_as_a_client_writes_it_needs_no_default() -> None:
    value = b'{"plan":{"name":"sizes","arms":[{"name":"a","share":0.5},{"name":"b","share":0.5}]},"started_at":5}'
    record = read_record(value)
    assert record is not None and isinstance(record.plan, ExperimentPlan) and record.stopped_at is None
