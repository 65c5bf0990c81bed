"""A list whose record has the header with its order is checked when it arrives and decoded when it is read."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.kafka_io import list_outlines, list_rows
from operators.kafka_io.list_outlines import ListOutline, OutlineRows, decode_outline
from operators.kafka_io.list_rows import ListRows, OrderedRows, list_of_row
from operators.kafka_io.row_rules import Refused
from operators.records.contracts import ORDER_HEADER, ListItem, Reason, RecommendationList
from operators.time_units import DAY_MS
from tests.builders import NOW_MS
from tests.operators.kafka_io.test_list_rows import Record, list_of, made, tombstone

ITEMS = [ListItem(f"i{rank}", 0.5, rank, Reason("viewed", "i9")) for rank in range(1, 21)]


def by_job(epoch: int, version: int, order: str | None = None, **fields: Any) -> Record:
    """A list as the job writes it; `order`: another header than its own."""
    value = msgspec.json.encode(list_of(epoch, version, **({"items": ITEMS} | fields)))
    return Record(b"u1", value, [(ORDER_HEADER, (order or f"{epoch}.{version}").encode())])


def after(rule: OrderedRows[Any], *records: Record) -> tuple[bytes | None, list[str]]:
    """The row after these records, and why some were refused."""
    row, reasons = None, []
    for record in records:
        try:
            row, _ = rule.take(row, record, NOW_MS)
        except Refused as refused:
            reasons.append(refused.reason)
    return row, reasons


class Decodings:
    """Counts the lists that are decoded whole, and those of which all but the items is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.whole = self.outlines = 0
        decode_whole, decode_head = list_rows.decode_any_list, list_outlines._decode

        def whole(value: bytes) -> RecommendationList:
            self.whole += 1
            return decode_whole(value)

        def outline(value: bytes) -> ListOutline:
            self.outlines += 1
            return decode_head(value)

        monkeypatch.setattr(list_rows, "decode_any_list", whole)
        monkeypatch.setattr(list_outlines, "_decode", outline)


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> Decodings:
    return Decodings(monkeypatch)


def test_the_items_of_an_arriving_list_are_decoded_when_it_is_read(decodings: Decodings) -> None:
    row, _ = after(OutlineRows(), *(by_job(1, version) for version in range(1, 11)))
    assert (decodings.whole, decodings.outlines) == (0, 10)
    assert row is not None
    found = list_of_row(row)
    assert found is not None and (found.version, found.items, decodings.whole) == (10, ITEMS, 1)


def test_an_older_list_is_refused_by_its_header_alone(decodings: Decodings) -> None:
    older = (by_job(1, 9), by_job(2, 4), Record(b"u1", b"rubbish", [(ORDER_HEADER, b"2.4")]))
    _, reasons = after(OutlineRows(), by_job(2, 5), *older)
    assert (reasons, decodings.outlines, decodings.whole) == (["older"] * 3, 1, 0)
    assert after(OutlineRows(), tombstone("3.0"), by_job(2, 5))[1] == ["erased"]


@pytest.mark.parametrize("headers", [[], [("other", b"1.1")], [(ORDER_HEADER, b"rubbish")]])
def test_a_list_without_a_readable_header_is_decoded_whole(
    headers: list[tuple[str, bytes]], decodings: Decodings
) -> None:
    """Of an older job, or of another writer."""
    value = msgspec.json.encode(list_of(1, 2, items=ITEMS))
    bad_items = value.replace(b'"rank":1,', b'"rank":"first",')
    row, reasons = after(OutlineRows(), Record(b"u1", value, headers), Record(b"u1", bad_items, headers))
    assert (reasons, decodings.whole) == (["not_a_list"], 2)
    assert row == after(ListRows(), made(1, 2, items=ITEMS))[0]


GOOD = msgspec.json.encode(list_of(1, 2, items=ITEMS))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not_a_list"),
        (b"rubbish", "not_a_list"),
        (b"\xff\xfe", "not_a_list"),
        (b"[" * 100_000, "not_a_list"),
        (b'{"version": 2}', "not_a_list"),
        (GOOD[:-1], "not_a_list"),
        (GOOD + b"x", "not_a_list"),
        (GOOD.replace(b"[{", b"[["), "not_a_list"),
        (GOOD.replace(b'"items":[', b'"items":' + b"[" * 100_000), "not_a_list"),
        (msgspec.json.encode(msgspec.to_builtins(list_of(1, 2)) | {"items": None}), "not_a_list"),
        (GOOD.replace(b'"items":', b'"entries":'), "not_a_list"),
        (GOOD.replace(b'"source":"model"', b'"source":"oracle"'), "not_a_list"),
        (msgspec.json.encode(list_of(1, 3, items=ITEMS)), "not_a_list"),
        (msgspec.json.encode(list_of(0, 2, items=ITEMS)), "not_a_list"),
        (msgspec.json.encode(list_of(1, 2, expires_at=-(10**25))), "not_a_list"),
        (msgspec.json.encode(list_of(1, 2, user_id="\ufffd")), "not_its_key"),
        (msgspec.json.encode(list_of(1, 2, user="u2")), "not_its_key"),
    ],
)
def test_a_bad_list_with_the_header_of_a_newer_one_hides_no_good_one(value: bytes, reason: str) -> None:
    good, _ = after(OutlineRows(), by_job(1, 1))
    row, reasons = after(OutlineRows(), by_job(1, 1), Record(b"u1", value, [(ORDER_HEADER, b"1.2")]))
    assert (row, reasons) == (good, [reason])


@pytest.mark.parametrize(
    "bad", [(b'"rank":1,', b'"rank":"first",'), (b'"kind":"viewed"', b'"kind":"foreseen"'), (b'"i1"', b'"\xff"')]
)
def test_bad_items_under_a_header_are_found_when_the_list_is_read(bad: tuple[bytes, bytes]) -> None:
    value = GOOD.replace(*bad)
    row, reasons = after(OutlineRows(), by_job(1, 1), Record(b"u1", value, [(ORDER_HEADER, b"1.2")]))
    assert row is not None and not reasons
    with pytest.raises(Refused, match="unreadable"):
        list_of_row(row)
    row, _ = after(OutlineRows(), Record(b"u1", value, [(ORDER_HEADER, b"1.2")]), by_job(1, 2))
    assert row is not None and list_of_row(row) is not None, "the next list of the same version replaces it"


ORDERS = st.tuples(st.integers(0, 2), st.integers(0, 3))
RECORDS = st.one_of(
    ORDERS.map(lambda order: by_job(*order)),
    ORDERS.map(lambda order: made(*order, source="popular")),
    ORDERS.map(lambda order: by_job(*order, expires_at=NOW_MS - 2 * DAY_MS)),
    ORDERS.map(lambda order: tombstone(f"{order[0]}.{order[1]}")),
    st.just(tombstone()),
)


@given(st.lists(RECORDS, max_size=8))
def test_both_rules_leave_the_same_row_and_refuse_the_same_records(records: list[Record]) -> None:
    """So a storefront may be upgraded, or go back to an older release, over the rows that it has."""
    assert after(OutlineRows(), *records) == after(ListRows(), *records)


def test_what_changed_is_told_as_an_outline() -> None:
    outline_rows, no_header = OutlineRows(), made(1, 2)
    told = [outline_rows.take(None, record, NOW_MS)[1] for record in (by_job(1, 2), no_header, tombstone("1.3"))]
    assert [outline and (outline.version, outline.event_time) for outline in told] == [(2, NOW_MS), (2, NOW_MS), None]
    row, _ = outline_rows.take(None, by_job(1, 2), NOW_MS)
    assert row is not None
    found = outline_rows.read(row)
    assert found is not None and msgspec.json.decode(found.items, type=list[ListItem]) == ITEMS
    assert outline_rows.read(row[:24] + b"rubbish") is None and outline_rows.read(row[:24]) is None


def test_an_outline_has_the_fields_of_a_list() -> None:
    def fields(kind: type[msgspec.Struct]) -> list[tuple[str, Any, Any]]:
        """Name, type and default."""
        return [(f.name, f.type, f.default) for f in msgspec.structs.fields(kind) if f.name != "items"]

    assert fields(ListOutline) == fields(RecommendationList)


@given(st.binary(max_size=40), st.integers(0, len(GOOD)), st.integers(0, 40))
def test_no_bytes_raise_anything_but_a_refusal(added: bytes, place: int, removed: int) -> None:
    value = GOOD[:place] + added + GOOD[place + removed :]
    for decode in decode_outline, lambda value, _: list_of_row(b"\x00" * 24 + value):
        with contextlib.suppress(Refused):
            decode(value, b"u1")
