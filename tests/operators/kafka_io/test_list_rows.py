"""Which list of a user counts, whatever order the records come in."""

from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.kafka_io.list_rows import ListRows, order_of
from operators.kafka_io.row_rules import Refused
from operators.records.contracts import ORDER_HEADER, Model, RecommendationList
from operators.time_units import DAY_MS
from tests.builders import NOW_MS


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012


def list_of(epoch: int, version: int, user: str = "u1", **fields: Any) -> RecommendationList:
    given = {
        "recommendation_id": "r",
        "user_id": user,
        "epoch": epoch,
        "version": version,
        "event_time": NOW_MS,
        "event_id": "e",
        "generated_at": NOW_MS,
        "model": Model("m", "1"),
        "source": "model",
        "items": [],
        "expires_at": NOW_MS + DAY_MS,
    }
    return RecommendationList(**(given | fields))


def made(epoch: int, version: int, **fields: Any) -> Record:
    return Record(b"u1", msgspec.json.encode(list_of(epoch, version, **fields)))


def tombstone(order: str | None = None) -> Record:
    return Record(b"u1", None, [(ORDER_HEADER, order.encode())] if order else [("other", b"9.9")])


def after(*records: Record, now_ms: int = NOW_MS) -> tuple[bytes | None, list[str]]:
    """The row after these records, and why some were refused."""
    rule, row, refused = ListRows(), None, []
    for record in records:
        try:
            row, _ = rule.take(row, record, now_ms)
        except Refused as one:
            refused.append(one.reason)
    return row, refused


def newest(*records: Record) -> tuple[int, int] | None:
    row, _ = after(*records)
    found = None if row is None else ListRows().read(row)
    return None if found is None else (found.epoch, found.version)


def test_the_greatest_epoch_and_then_the_greatest_version_counts() -> None:
    assert newest(made(1, 57), made(2, 1)) == (2, 1), "a user who was forgotten begins a new epoch at version 1"
    assert newest(made(2, 1), made(1, 57)) == (2, 1), "whatever comes late from before"
    assert newest(made(1, 2), made(1, 1)) == (1, 2)
    assert after(made(1, 2), made(1, 1))[1] == ["older"]


def test_of_two_lists_of_the_same_version_the_later_counts() -> None:
    row, refused = after(made(1, 1, source="popular"), made(1, 1, source="model"))
    assert row is not None and not refused
    assert ListRows().read(row).source == "model", "it replaces the fallback"


def test_an_old_list_without_an_epoch_is_of_epoch_0() -> None:
    old = msgspec.to_builtins(list_of(0, 99))
    del old["epoch"]
    assert newest(Record(b"u1", msgspec.json.encode(old)), made(1, 1)) == (1, 1)


@pytest.mark.parametrize(
    ("late", "counts"), [((3, 9), False), ((4, 1), False), ((4, 2), True), ((4, 3), True), ((5, 1), True)]
)
def test_a_list_below_a_tombstones_order_never_comes_back(late: tuple[int, int], counts: bool) -> None:
    row, refused = after(made(3, 9), tombstone("4.2"), made(*late))
    assert row is not None
    assert (ListRows().read(row) is not None, refused) == (counts, [] if counts else ["erased"])


def test_a_tombstone_without_an_order_keeps_out_what_it_removed_and_all_before() -> None:
    assert newest(made(3, 9), tombstone(), made(3, 9)) is None
    assert newest(made(3, 9), tombstone(), made(3, 8)) is None
    assert newest(made(3, 9), tombstone(), made(3, 10)) == (3, 10)
    assert newest(made(3, 9), tombstone(), tombstone(), made(3, 9)) is None, "a second one does not lift the floor"
    assert newest(tombstone(), made(1, 1)) == (1, 1), "nothing was known, so nothing is kept out"


@pytest.mark.parametrize("order", ["", "4", "4.2.1", "four.two", "4.99999999999999999999", "\x00"])
def test_an_order_that_cannot_be_read_is_none(order: str) -> None:
    assert order_of([(ORDER_HEADER, order.encode())]) is None
    assert newest(made(3, 9), tombstone(order), made(3, 9)) is None


def test_a_tombstone_that_is_written_again_does_not_remove_what_came_after_it() -> None:
    row, refused = after(made(3, 9), tombstone("4.2"), made(4, 3), tombstone("4.2"))
    assert row is not None and ListRows().read(row).version == 3 and refused == ["older"]
    assert newest(made(4, 2), tombstone("4.2")) is None, "at the same order it may be of before: it goes"
    assert newest(tombstone("5.1"), tombstone("4.2"), made(4, 9)) is None, "a floor never falls"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"version": 4}', "not_a_list"),
        (b"rubbish", "not_a_list"),
        (b"", "not_a_list"),
        (b"\xff\xfe", "not_a_list"),
        (b"[" * 100_000, "not_a_list"),
        (msgspec.json.encode(list_of(1, 10**25)), "not_a_list"),
        (msgspec.json.encode(list_of(1, 1, expires_at=-(10**25))), "not_a_list"),
        (msgspec.json.encode(list_of(1, 1, user_id="\ufffd")), "not_its_key"),
        (msgspec.json.encode(list_of(1, 1, user="u2")), "not_its_key"),
    ],
)
def test_what_is_no_list_of_its_key_hides_no_good_one(value: bytes, reason: str) -> None:
    row, refused = after(made(1, 1), Record(b"u1", value))
    assert refused == [reason]
    assert row is not None and ListRows().read(row).version == 1
    assert after(Record(b"\xff", value))[1] != [], "also under a key that is no text"


def test_a_row_that_this_release_cannot_read_is_none() -> None:
    row, _ = after(made(1, 1))
    assert row is not None
    assert ListRows().read(row[:24] + b'{"version": 4}') is None


def test_a_list_goes_a_day_after_it_expired_and_an_expired_one_is_not_kept() -> None:
    rule, (row, _) = ListRows(), after(made(1, 1))
    expired = NOW_MS + DAY_MS
    assert [rule.stale(row, expired + late, 0) for late in (0, DAY_MS, DAY_MS + 1)] == [False, False, True]
    assert after(made(1, 1), made(1, 2), now_ms=expired + DAY_MS + 1) == (None, [])
    kept, _ = ListRows(forget_ms=None).take(None, made(1, 1), expired + 400 * DAY_MS)
    assert kept is not None


def test_a_floor_is_kept_as_long_as_the_topic_keeps_tombstones() -> None:
    rule, (floor, _) = ListRows(), after(tombstone("4.2"))
    assert [rule.stale(floor, NOW_MS + late, 1000) for late in (0, 1000, 1001)] == [False, False, True]
    late = made(4, 3, expires_at=NOW_MS - 2 * DAY_MS)
    assert after(tombstone("4.2"), late) == (floor, []), "and no list that is over takes it away"


ORDERS = st.tuples(st.integers(0, 3), st.integers(0, 4))


@given(st.lists(st.one_of(ORDERS, ORDERS.map(lambda order: f"{order[0]}.{order[1]}")), max_size=8))
def test_in_any_order_the_newest_list_that_no_tombstone_excludes_counts(records: list[Any]) -> None:
    """Read once more from the beginning after a failure, the same list counts."""
    orders = [tuple(map(int, one.split("."))) if isinstance(one, str) else one for one in records]
    floor = max((order for order, one in zip(orders, records, strict=True) if isinstance(one, str)), default=(0, 0))
    lists = [one for one in records if not isinstance(one, str)]
    best = max(lists, default=None)
    given = [tombstone(one) if isinstance(one, str) else made(*one) for one in records]
    found = newest(*given, *given)
    if best is None or best < floor:
        assert found is None
    elif best > floor:
        assert found == best
