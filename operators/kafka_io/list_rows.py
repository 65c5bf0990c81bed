"""Which list of a user is current: one rule for every reader of the topic of lists.

The list with the greatest (epoch, version) is current. At equal orders the later record is, because the model's list
replaces the fallback of the same version. A tombstone leaves a floor: an operator that was cut off may publish a list from
before the erasure late, and the floor refuses it. A row is (epoch, version, moment in epoch ms) and the list's bytes; the
moment of a list is its expiry. A floor has no bytes, and its moment is its arrival.
"""

import struct
from math import inf
from typing import Generic, Protocol, TypeVar

import msgspec

from operators.kafka_io.row_rules import Refused, TopicRecord
from operators.records.contracts import ORDER_HEADER, RecommendationList
from operators.time_units import DAY_MS

_ORDER = struct.Struct(">QQ")  # epoch, version: bytes that compare as the pairs do
_HEAD = struct.Struct(">QQq")
# ignores the key; `list_outlines` has the decoder that leaves the items as they are
decode_any_list = msgspec.json.Decoder(RecommendationList).decode
MAX_NUMBER = 2**64 - 1
# why a record of the topic changed no row: `older` than the current list, `erased`: below a tombstone's floor,
# `not_a_list`, `not_its_key`: its key names another user
REFUSALS = ("older", "erased", "not_a_list", "not_its_key")
UNREADABLE = "unreadable"  # a row whose list cannot be decoded
UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)  # what the decoder raises for hostile JSON


class OrderedList(Protocol):
    """What the rule reads of a list."""

    epoch: int
    version: int
    expires_at: int


List = TypeVar("List", bound=OrderedList)


def decode_list(value: bytes, key: bytes | None) -> RecommendationList:
    """The list of a record. Raises `Refused` where the value is no list, or not one of the user that the key names."""
    try:
        decoded = decode_any_list(value)
        is_of_key = decoded.user_id.encode() == key
    except UNDECODABLE as error:
        raise Refused("not_a_list") from error
    if not is_of_key:
        raise Refused("not_its_key")
    return decoded


class OrderedRows(Generic[List]):
    """The rule as `RowRule`, for lists in any decoded form; a subclass says how a record is decoded."""

    sweeps = True

    def __init__(self, forget_ms: int | None = DAY_MS) -> None:
        """`forget_ms`: a list is dropped this long after it expires; None: never."""
        self._forget_ms = inf if forget_ms is None else forget_ms

    @property
    def gone(self) -> List | None:
        """As `RowRule`."""
        return None

    def decode(self, old: bytes | None, value: bytes, record: TopicRecord) -> List:
        """The list of a record. Raises `Refused`."""
        raise NotImplementedError

    def take(self, old: bytes | None, record: TopicRecord, now_ms: int) -> tuple[bytes | None, List | None]:
        """As `RowRule`."""
        value = record.value
        if value is None:
            return _floor(old, order_of(record.headers), now_ms), None
        decoded = self.decode(old, value, record)
        try:
            head = _HEAD.pack(decoded.epoch, decoded.version, decoded.expires_at)
        except struct.error as error:  # a negative number, or one of more than 64 bits
            raise Refused("not_a_list") from error
        refuse_older(old, (decoded.epoch, decoded.version))
        if decoded.expires_at + self._forget_ms < now_ms:
            return (old if old is not None and len(old) == _HEAD.size else None), None
        return head + value, decoded

    def head(self, row: bytes) -> bytes:
        """As `RowRule`: the row without its list, whose first byte says that there is one. `read` cannot decode it."""
        return row[: _HEAD.size + 1]

    def stale(self, row: bytes, now_ms: int, tombstones_ms: int) -> bool:
        """As `RowRule`. A floor expires with the topic's tombstone: an operator that could still publish a list from
        before the erasure is long dead by then."""
        moment: int = _HEAD.unpack_from(row)[2]
        return moment + (self._forget_ms if len(row) > _HEAD.size else tombstones_ms) < now_ms


class ListRows(OrderedRows[RecommendationList]):
    """Decodes each list when its record arrives. For programs that use every list, and for reads of a few users."""

    def decode(self, old: bytes | None, value: bytes, record: TopicRecord) -> RecommendationList:
        """As `OrderedRows`."""
        return decode_list(value, record.key)

    def read(self, row: bytes) -> RecommendationList | None:
        """As `RowRule`."""
        try:
            return list_of_row(row)
        except Refused:  # an earlier release wrote another form of list
            return None


def list_of_row(row: bytes) -> RecommendationList | None:
    """The list of a row; None for a floor. Raises `Refused` where it cannot be decoded."""
    try:
        return decode_any_list(value_of(row)) if len(row) > _HEAD.size else None
    except UNDECODABLE as error:
        raise Refused(UNREADABLE) from error


def value_of(row: bytes) -> memoryview:
    """The list of a row as bytes; empty for a floor."""
    return memoryview(row)[_HEAD.size :]


def refuse_older(old: bytes | None, order: tuple[int, int]) -> None:
    """Raises `Refused` where the row holds a greater order (epoch, version)."""
    if old is not None and order < _ORDER.unpack_from(old):
        raise Refused("older" if len(old) > _HEAD.size else "erased")


def order_of(headers: list[tuple[str, bytes]]) -> tuple[int, int] | None:
    """(epoch, version) of a record's header; None without one that can be read."""
    for name, value in headers:
        if name == ORDER_HEADER:
            try:
                epoch, version = map(int, value.split(b"."))
                _ORDER.pack(epoch, version)
            except (ValueError, AttributeError, struct.error):
                return None
            return epoch, version
    return None


def _floor(old: bytes | None, order: tuple[int, int] | None, now_ms: int) -> bytes | None:
    """The row that a tombstone of this order leaves. Without an order, the floor lies just above the removed list."""
    if old is None:
        return None if order is None else _HEAD.pack(*order, now_ms)
    epoch, version, _ = _HEAD.unpack_from(old)
    is_list = len(old) > _HEAD.size
    if order is None:
        order = (epoch, min(version + is_list, MAX_NUMBER))
    elif (epoch, version) > order:  # an old tombstone that is written again after a failure
        if is_list:
            raise Refused("older")
        order = (epoch, version)
    return _HEAD.pack(*order, now_ms)
