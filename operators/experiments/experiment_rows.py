"""The topic of experiments as rows of a local table. A row is the newest readable record of an experiment."""

import msgspec

from operators.errors import SettingsError
from operators.experiments.plan import ExperimentPlan
from operators.kafka_io.row_rules import Refused, TopicRecord
from operators.time_units import Moment


class ExperimentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record of `shop.experiments.v1`; its key is the plan's name.

    Times are epoch ms. `stopped_at`: None while it runs. `who`: user@machine; `why`: the words of the last change.
    """

    plan: ExperimentPlan
    started_at: Moment
    stopped_at: Moment | None = None
    who: str = ""
    why: str = ""


_decode = msgspec.json.Decoder(ExperimentRecord).decode
_UNREADABLE = (msgspec.MsgspecError, SettingsError, ValueError, RecursionError)


def read_record(value: bytes) -> ExperimentRecord | None:
    """The record; None if it cannot be read, or its plan cannot run."""
    try:
        return _decode(value)
    except _UNREADABLE:
        return None


class ExperimentRows:
    """A `RowRule`. A tombstone, an unreadable record and one under another key leave the row unchanged: what runs goes on."""

    sweeps = False
    gone: ExperimentRecord | None = None

    def take(self, old: bytes | None, record: TopicRecord, now_ms: int) -> tuple[bytes | None, ExperimentRecord | None]:
        """As `RowRule`."""
        if record.value is None:
            raise Refused("tombstone")
        if (experiment := read_record(record.value)) is None:
            raise Refused("not_a_plan")
        if experiment.plan.name.encode() != record.key:
            raise Refused("key_mismatch")
        return record.value, experiment

    def head(self, row: bytes) -> bytes:
        """As `RowRule`: a record replaces any row."""
        return b""

    def read(self, row: bytes) -> ExperimentRecord | None:
        """As `RowRule`."""
        return read_record(row)

    def stale(self, row: bytes, now_ms: int, tombstones_ms: int) -> bool:
        """As `RowRule`."""
        return False
