"""The topic of models as rows of a local table. A row is the newest readable rollout of a shop's models."""

import msgspec

from operators.kafka_io.row_rules import Refused, TopicRecord
from operators.rollout.rollout import MAX_CHALLENGERS, Rollout

_decode = msgspec.json.Decoder(Rollout).decode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def read_rollout(value: bytes) -> Rollout | None:
    """The rollout; None if it cannot be read, or no verb makes such a rollout."""
    try:
        rollout = _decode(value)
    except _UNREADABLE:
        return None
    return rollout if _shares_fit(rollout) and _bundles_differ(rollout) else None


def _shares_fit(rollout: Rollout) -> bool:
    """Whether the champion has users, and a shadow requests."""
    shares = [challenger.share for challenger in rollout.challengers]
    return len(shares) <= MAX_CHALLENGERS and sum(shares) < 1 and (rollout.shadow is None or rollout.shadow_share > 0)


def _bundles_differ(rollout: Rollout) -> bool:
    """Whether each bundle has one role, and a label of its own: lists and metrics name bundles by their labels."""
    scoring = [bundle.sum for bundle in (*rollout.serving, rollout.shadow) if bundle is not None]
    sums = {bundle.sum for bundle in rollout.named}
    labels = {bundle.label for bundle in rollout.named}
    pairs = {(bundle.label, bundle.sum) for bundle in rollout.named}
    return len(set(scoring)) == len(scoring) and len(sums) == len(labels) == len(pairs)


def row_after(row: bytes | None, record: TopicRecord) -> bytes | None:
    """The row of a job after a record of that job, as its operators hold it."""
    try:
        return RolloutRows().take(row, record, 0)[0]
    except Refused:  # the operators count it
        return row


class RolloutRows:
    """A `RowRule`. An unreadable record and one of a lower revision leave the row unchanged: what serves goes on serving. After
    a tombstone the submitted bundle serves."""

    sweeps = False
    gone: Rollout | None = None

    def take(self, old: bytes | None, record: TopicRecord, now_ms: int) -> tuple[bytes | None, Rollout | None]:
        """As `RowRule`."""
        if record.value is None:
            return None, None
        if (rollout := read_rollout(record.value)) is None:
            raise Refused("not_a_rollout")
        if old is not None and (older := read_rollout(old)) is not None and rollout.revision < older.revision:
            raise Refused("older")
        return record.value, rollout

    def head(self, row: bytes) -> bytes:
        """As `RowRule`: the whole row, for its revision."""
        return row

    def read(self, row: bytes) -> Rollout | None:
        """As `RowRule`."""
        return read_rollout(row)

    def stale(self, row: bytes, now_ms: int, tombstones_ms: int) -> bool:
        """As `RowRule`."""
        return False
