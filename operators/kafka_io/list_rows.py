"""Which list of a user counts: one rule for every reader of the topic of lists.

The list with the greatest (epoch, version) counts; at equal ones the later record, for the model's list replaces the
fallback of the same version. A tombstone leaves a floor: a list below it was made before the erasure by an operator that
had been cut off, and is refused when it comes late. A row is (epoch, version, moment in epoch ms) and the list's bytes; a
floor has no bytes, and its moment is that of its arrival.
"""

import struct
from math import inf

import msgspec

from operators.kafka_io.row_rules import Refused, TopicRecord
from operators.records.contracts import ORDER_HEADER, RecommendationList
from operators.records.time_units import DAY_MS

_ORDER = struct.Struct(">QQ")  # epoch, version: bytes that compare as the pairs do
_HEAD = struct.Struct(">QQq")
# whatever its key: the one decoder of a list
decode_any_list = msgspec.json.Decoder(RecommendationList).decode
MOST = 2**64 - 1
# why a record of the topic changed nothing: `older` than the list that is known, `erased`: below a tombstone's floor,
# `not_a_list`, `not_its_key`: a list of another user than its key says
REFUSALS = ("older", "erased", "not_a_list", "not_its_key")


def decode_list(value: bytes, key: bytes | None) -> RecommendationList:
    """The list of a record. Raises `Refused` where the value is no list, or not one of the user that the key names."""
    try:
        made = decode_any_list(value)
        mine = made.user_id.encode() == key
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused("not_a_list") from error
    if not mine:
        raise Refused("not_its_key")
    return made


class ListRows:
    """The rule as `RowRule`."""

    sweeps = True
    gone: RecommendationList | None = None

    def __init__(self, forget_ms: int | None = DAY_MS) -> None:
        """A list is dropped so long after it expired; None: never."""
        self._forget_ms = inf if forget_ms is None else forget_ms

    def take(
        self, old: bytes | None, record: TopicRecord, now_ms: int
    ) -> tuple[bytes | None, RecommendationList | None]:
        """As `RowRule`."""
        value = record.value
        if value is None:
            return _floor(old, order_of(record.headers), now_ms), None
        made = decode_list(value, record.key)
        try:
            head = _HEAD.pack(made.epoch, made.version, made.expires_at)
        except struct.error as error:  # a negative number, or one of more than 64 bits
            raise Refused("not_a_list") from error
        if old is not None and head[: _ORDER.size] < old[: _ORDER.size]:
            raise Refused("older" if len(old) > _HEAD.size else "erased")
        if made.expires_at + self._forget_ms < now_ms:
            return (old if old is not None and len(old) == _HEAD.size else None), None
        return head + value, made

    def read(self, row: bytes) -> RecommendationList | None:
        """As `RowRule`."""
        try:
            return decode_any_list(memoryview(row)[_HEAD.size :]) if len(row) > _HEAD.size else None
        except msgspec.MsgspecError:  # of a release before, to which a list was something else
            return None

    def order_alone(self, row: bytes) -> bytes:
        """A row that decides as `row` does, without its list: for readers that keep no lists. `read` cannot take it."""
        return row[: _HEAD.size + 1]

    def stale(self, row: bytes, now_ms: int, tombstones_ms: int) -> bool:
        """As `RowRule`. A floor goes when the topic has let go of the tombstone too: what could still write a list from
        before it has been dead for long."""
        moment: int = _HEAD.unpack_from(row)[2]
        return moment + (self._forget_ms if len(row) > _HEAD.size else tombstones_ms) < now_ms


def order_of(headers: list[tuple[str, bytes]]) -> tuple[int, int] | None:
    """(epoch, version) of a tombstone's header; None without one that can be read."""
    for name, value in headers:
        if name == ORDER_HEADER:
            try:
                epoch, version = map(int, value.split(b"."))
                _ORDER.pack(epoch, version)
            except (ValueError, AttributeError, struct.error):
                return None
            return epoch, version
    return None


def _floor(old: bytes | None, said: tuple[int, int] | None, now_ms: int) -> bytes | None:
    """The row that a tombstone of this order leaves. Without an order, nothing up to the list that it removed counts."""
    if old is None:
        return None if said is None else _HEAD.pack(*said, now_ms)
    epoch, version, _ = _HEAD.unpack_from(old)
    is_list = len(old) > _HEAD.size
    if said is None:
        said = (epoch, min(version + is_list, MOST))
    elif (epoch, version) > said:  # an old tombstone that is written again after a failure
        if is_list:
            raise Refused("older")
        said = (epoch, version)
    return _HEAD.pack(*said, now_ms)
