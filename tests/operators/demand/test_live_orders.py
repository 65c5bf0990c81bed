"""Records of the topic become orders."""

import pytest
from msgspec.structs import replace

from operators.demand.item_counts import HalfLives
from operators.demand.item_demand_rows import ItemDemandRows
from operators.demand.live_orders import LiveOrders
from operators.kafka_io.row_rules import Refused
from operators.records.contracts import encode_record
from operators.records.item_demand import HourDemand, ItemDemand
from operators.time_units import HOUR_MS
from tests.operators.kafka_io.fake_topic import until

NOW_MS = 1_700_000_000_000
HALF = HalfLives(24 * HOUR_MS, 5 * 60_000)
HOUR = HourDemand(began_at=0, views=0, carts=0, purchases=0, revenue=0)


def demand(item: str, interest: float, recent: float = 0.0, at: int = NOW_MS) -> ItemDemand:
    counts = {"views": 0.0, "carts": 0.0, "purchases": 0.0, "revenue": 0.0, "trend": 1.0}
    return ItemDemand(
        item_id=item,
        interest=interest,
        acts=interest,
        recent=recent,
        counted_at=at,
        hour=HOUR,
        previous_hour=HOUR,
        **counts,
    )


def live(**options: bool) -> LiveOrders:
    return LiveOrders(["a", "b", "c"], [2, 0, 1], HALF, clock_ms=lambda: NOW_MS, **options)


def first(orders: LiveOrders) -> list[str]:
    orders.compute()
    newest = orders.newest()
    return [] if newest is None else [orders.items[place] for place in newest.popular]


def test_there_is_no_order_before_a_record() -> None:
    assert first(live()) == []


def test_the_newest_record_of_an_item_counts_as_of_now() -> None:
    orders = live()
    orders.changed("b", demand("b", 5000, at=NOW_MS - 30 * 24 * HOUR_MS))
    assert first(orders) == ["c", "a", "b"], "a month later next to nothing is left"
    orders.changed("b", demand("b", 500))
    assert first(orders) == ["b", "c", "a"]
    orders.changed("b", demand("b", 500, at=NOW_MS + 2 * HOUR_MS))
    assert first(orders) == ["c", "a", "b"], "of a clock that ran ahead: it would never decay"
    orders.changed("b", demand("b", 500))
    assert [item.item_id for item in orders.head() or ()] == ["c", "a", "b"] and first(orders)[0] == "b"
    orders.changed("b", None)
    assert first(orders) == ["c", "a", "b"]


def test_new_items_have_a_place_where_they_are_wanted() -> None:
    alone, with_new = live(), live(adds_items=True)
    for orders in (alone, with_new):
        for number in range(3000):
            orders.changed(f"new{number}", demand(f"new{number}", 1000.0 + number))
    assert first(alone) == [], "none of its items was asked for"
    assert first(with_new)[:2] == ["new2999", "new2998"] and len(with_new.items) == with_new.known + 3000


def test_their_number_is_bounded_and_the_one_asked_for_longest_ago_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.demand.live_orders.MAX_ADDED", 2)
    orders = live(adds_items=True)
    for age, name in enumerate(("y", "x", "z", "x")):
        orders.changed(name, demand(name, 900.0 - age, at=NOW_MS + age))
    assert {*orders.items} == {"a", "b", "c", "x", "z"} and first(orders)[:2] == ["z", "x"]


def test_the_thread_computes_and_ends() -> None:
    orders = live()
    orders.changed("b", demand("b", 500))
    orders.start()
    until(lambda: orders.newest() is not None)
    orders.close()
    assert not orders._thread.is_alive


class Record:
    def __init__(self, key: bytes | None, value: bytes | None) -> None:
        self.key, self.value, self.headers = key, value, list[tuple[str, bytes]]()


def test_a_row_is_the_newest_readable_record() -> None:
    rule, value = ItemDemandRows(), encode_record(demand("a", 3.0))
    row, read = rule.take(None, Record(b"a", value), NOW_MS)
    assert row == value and read == demand("a", 3.0) == rule.read(value)
    assert rule.take(row, Record(b"a", None), NOW_MS) == (None, None)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"b", encode_record(demand("a", 3.0)), "key_mismatch"),
        (None, encode_record(demand("a", 3.0)), "key_mismatch"),
        (b"a", b"rubbish", "not_a_demand"),
        (b"a", b"{}", "not_a_demand"),
        (b"a", b"[" * 100_000, "not_a_demand"),
        (b"a", b"\xff", "not_a_demand"),
        (b"a", encode_record(demand("a", -1.0)), "not_a_demand"),
        (b"a", encode_record(demand("a", 1.0)).replace(b"1.0", b"1e999"), "not_a_demand"),
        (b"a", encode_record(demand("a", 1e16)), "not_a_demand"),
        (b"a", encode_record(replace(demand("a", 1.0), impressions=-1.0)), "not_a_demand"),
        (b"a", encode_record(replace(demand("a", 1.0), clicks=1e16)), "not_a_demand"),
        (b"a", encode_record(demand("a", 1.0, at=NOW_MS + 2 * HOUR_MS)), "not_a_demand"),
        (b"a", encode_record(demand("a", 1.0, at=10**17)).replace(b"0" * 17, b"0" * 400), "not_a_demand"),
    ],
)
def test_other_records_change_no_row(key: bytes | None, value: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        ItemDemandRows().take(b"old", Record(key, value), NOW_MS)
    assert refused.value.reason == reason
