"""What the demand operator is told: each applied event once, by item and second, and nothing of who asked."""

from typing import Any, ClassVar

import msgspec
import pytest

from operators.demand.demand_logic import DemandEntry
from operators.demand.item_counts import LARGEST, Asked, HalfLives, ItemCounts
from operators.refresh.demand_outputs import MOST_ITEMS, MOST_SHOWN, WEIGHTS, DemandOutputs
from operators.refresh.downstream import Downstream
from operators.refresh.refresh_records import InputRecord
from operators.shopper.user_state import step
from tests.builders import NOW_MS, event

SECOND_MS = NOW_MS // 1000 * 1000
Group = tuple[int, float, float, float, float, float, float]


class Shopper:
    """A user whose events are applied and told."""

    def __init__(self, currency: str = "", with_impressions: bool = False) -> None:
        self.outputs = DemandOutputs(
            currency, lambda item: not item.startswith("made-up"), with_impressions=with_impressions
        )
        self.state: bytes | None = None
        self.count = 0

    def does(self, kind: str, broker_ms: int = NOW_MS, **fields: Any) -> "Shopper":
        self.count += 1
        one = event(self.count, kind, **{"event_time": NOW_MS} | fields)
        after = step(self.state, one)
        assert after.outcome == "applied"
        self.outputs.add(one, self.state, after.state, broker_ms)
        self.state = after.state
        return self

    def told(self) -> dict[str, list[Group]]:
        """What was asked for."""
        return {item: [group[:7] for group in groups] for item, groups in self.all_told().items()}

    def shown(self) -> dict[str, tuple[float, float]]:
        """Impressions and clicks."""
        told = self.all_told().items()
        return {item: (sum(group[7] for group in groups), sum(group[8] for group in groups)) for item, groups in told}

    def returned(self) -> dict[str, Any]:
        """What was taken back."""
        return {item: entry.returns for item, entry in self.entries().items()}

    def all_told(self) -> dict[str, Any]:
        return {item: entry.groups for item, entry in self.entries().items()}

    def entries(self) -> dict[str, DemandEntry]:
        outputs = self.outputs.of_batch()
        assert all(output.kind == "demand" for output in outputs)
        decode = msgspec.msgpack.Decoder(DemandEntry).decode
        return {(output.key or b"").decode(): decode(output.value or b"") for output in outputs}


def test_events_of_a_batch_are_one_entry_an_item() -> None:
    shopper, other = Shopper(), Shopper()
    other.outputs = shopper.outputs
    shopper.does("view", item_id="i1").does("add_to_cart", item_id="i1").does("view", item_id="i2")
    other.does("view", item_id="i1")
    assert shopper.told() == {
        "i1": [(SECOND_MS, 2.0, 1.0, 0.0, 0.0, 3.0, 2 * WEIGHTS["view"] + WEIGHTS["add_to_cart"])],
        "i2": [(SECOND_MS, 1.0, 0.0, 0.0, 0.0, 1.0, WEIGHTS["view"])],
    }
    assert shopper.told() == {}, "the next batch begins anew"


def test_who_does_the_same_again_is_counted_and_adds_no_interest() -> None:
    shopper = Shopper().does("view", item_id="i1").does("click", item_id="i1").does("view", item_id="i1")
    assert shopper.told() == {"i1": [(SECOND_MS, 3.0, 0.0, 0.0, 0.0, 1.0, 1.0)]}


def test_an_old_event_counts_at_its_own_time_and_none_in_the_future() -> None:
    shopper = Shopper().does("view", item_id="i1", event_time=NOW_MS - 86_400_000)
    shopper.does("view", item_id="i2", broker_ms=NOW_MS - 5_000_000)
    assert [groups[0][0] for groups in shopper.told().values()] == [
        (NOW_MS - 86_400_000) // 1000 * 1000,
        (NOW_MS - 5_000_000) // 1000 * 1000,
    ]


@pytest.mark.parametrize(
    ("fields", "currency", "purchases", "revenue"),
    [
        ({"price": 2.5, "quantity": 4}, "", 1.0, 10.0),
        ({"price": 2.5}, "", 1.0, 2.5),
        ({}, "", 1.0, 0.0),
        ({"price": 2.5, "currency": "EUR"}, "EUR", 1.0, 2.5),
        ({"price": 2.5, "currency": "eur "}, "EUR", 1.0, 2.5),
        ({"price": 2.5}, "EUR", 1.0, 2.5),
        ({"price": 2.5, "currency": "USD"}, "EUR", 1.0, 0.0),
        ({"price": 1e300, "quantity": 1e300}, "", 1.0, LARGEST),
    ],
)
def test_revenue_is_what_was_paid(fields: dict[str, Any], currency: str, purchases: float, revenue: float) -> None:
    ((_, _, _, bought, paid, _, interest),) = Shopper(currency).does("purchase", item_id="i1", **fields).told()["i1"]
    assert (bought, paid) == (purchases, revenue)
    assert interest == WEIGHTS["purchase"]


def test_a_baskets_price_is_no_single_items() -> None:
    told = Shopper().does("purchase", items=["i1", "i2"], price=30.0).told()
    assert {item: groups[0][3:5] for item, groups in told.items()} == {"i1": (1.0, 0.0), "i2": (1.0, 0.0)}


def test_other_events_and_shoppers_who_refused_are_not_counted() -> None:
    shopper = (
        Shopper().does("search", query="mug").does("impression", items=["i1"]).does("rate", item_id="i1", rating=5)
    )
    shopper.does("consent", context={"personalisation": "denied"}).does("view", item_id="i1")
    assert shopper.told() == {}


def test_ids_that_the_shop_does_not_have_fill_no_topic() -> None:
    shopper = Shopper()
    for number in range(100):
        shopper.does("view", item_id=f"made-up-{number}")
    assert shopper.told() == {} and shopper.outputs.unknown == 100


def test_a_basket_of_hundreds_lifts_nothing() -> None:
    told = Shopper().does("purchase", items=[f"i{number}" for number in range(500)]).told()
    share = MOST_ITEMS / 500
    assert len(told) == 500 and {groups[0][3:] for groups in told.values()} == {
        (1.0, 0.0, share, share * WEIGHTS["purchase"])
    }


def test_who_buys_and_returns_in_turns_lifts_nothing() -> None:
    shopper, counts, half_lives = Shopper().does("view", item_id="i1"), ItemCounts(), HalfLives(86_400_000, 300_000)
    for _ in range(5):
        shopper.does("purchase", item_id="i1").does("purchase", item_id="i1", quantity=-1)
    entry = shopper.entries()["i1"]
    for moment_ms, *amounts in entry.groups:
        counts.add(moment_ms, Asked(*amounts), half_lives)
    for moment_ms, bought_ms, purchases, revenue, acts, interest in entry.returns:
        counts.take_back(moment_ms, bought_ms, Asked(0, 0, purchases, revenue, acts, interest), half_lives)
    assert counts.sums[:3] == [1.0, 0.0, 0.0] and (counts.acts, counts.interest) == (1.0, WEIGHTS["view"])


def test_a_return_names_the_time_of_its_purchase() -> None:
    day_ms = 86_400_000
    shopper = Shopper().does("purchase", item_id="i1", event_time=NOW_MS - 3 * day_ms)
    shopper.told()
    shopper.does("purchase", item_id="i1", price=2.5, quantity=-2)
    assert shopper.returned() == {"i1": [(SECOND_MS, SECOND_MS - 3 * day_ms, -1.0, -5.0, -1.0, -WEIGHTS["purchase"])]}


def test_a_return_of_what_was_never_bought_takes_no_act_away() -> None:
    assert Shopper().does("purchase", item_id="i1", quantity=-1).returned() == {
        "i1": [(SECOND_MS, 0, -1.0, 0.0, 0.0, 0.0)]
    }


def test_an_error_counts_the_event_with_no_item_and_harms_nothing_else() -> None:
    def fails(item: str) -> bool:
        if item == "i2":
            raise OSError("disk")
        return True

    class Errors:
        told: ClassVar[list[str]] = []

        def report(self, where: str, error: Exception) -> None:
            self.told.append(where)

    demand = DemandOutputs("", fails)
    downstream = Downstream(None, demand, Errors())  # type: ignore[arg-type]
    basket = event(1, "purchase", items=["i1", "i2"])
    record = InputRecord("u1", b"", "t", 0, 0, NOW_MS, True)
    assert downstream.of_event(basket, None, step(None, basket).state, record) == []
    assert Errors.told == ["demand"] and downstream.of_batch([]) == []


def test_impressions_and_clicks_count_where_exploration_is_on() -> None:
    shopper = Shopper(with_impressions=True)
    shopper.does("impression", items=["i1", "i2", "made-up"]).does("impression", items=["i1"]).does(
        "click", item_id="i1"
    )
    assert shopper.shown() == {"i1": (2.0, 1.0), "i2": (1.0, 0.0)} and shopper.outputs.unknown == 1
    without = Shopper().does("impression", items=["i1", "i2"]).does("click", item_id="i1")
    assert without.shown() == {"i1": (0.0, 0.0)}


def test_who_clicks_again_adds_no_click_and_an_impression_adds_nothing_that_is_asked_for() -> None:
    shopper = Shopper(with_impressions=True).does("click", item_id="i1").does("click", item_id="i1")
    assert shopper.shown() == {"i1": (0.0, 1.0)}
    assert shopper.does("impression", items=["i1"]).told() == {"i1": [(SECOND_MS, *[0.0] * 6)]}
    refused = shopper.does("consent", context={"personalisation": "denied"}).does("impression", items=["i1"])
    assert refused.shown() == {}


def test_an_impression_of_very_many_items_counts_the_first() -> None:
    shopper = Shopper(with_impressions=True).does("impression", items=[f"i{n}" for n in range(400)])
    assert len(shopper.shown()) == MOST_SHOWN
