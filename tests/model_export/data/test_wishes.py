"""What a training learns from baskets, returns, ratings, consent and robots."""

from pathlib import Path

import numpy as np
import pytest

from model_export.data.data_tests import check_training_data
from model_export.data.dataset import Wishes, examples, ratings, vocabulary
from model_export.data.learnable import learnable
from model_export.data.splits import drawn_questions, of_events
from operators.configuration.shop_settings import EventSettings
from operators.errors import EventsFileError
from operators.records.contracts import Event, encode_record
from operators.shopper.features import Vocabulary
from operators.shopper.user_state import KINDS
from tests.builders import NOW_MS, event

WORDS = Vocabulary([f"i{n}" for n in range(1, 40)])
SPLIT = {"test_share": 0.1, "test_from": None, "min_count": 1, "seed": 7, "window": 20}
REFUSED, GRANTED = {"personalisation": "denied"}, {"personalisation": "granted"}


def wished(*events: Event) -> list[list[str]]:
    wishes = Wishes()
    return [wishes.of(event) for event in events]


def test_each_line_of_a_basket_is_a_wish_unless_its_cart_event_was() -> None:
    assert wished(event(0, "purchase", items=["i1", "i2"])) == [["i1", "i2"]]
    assert wished(event(0, "purchase", item_id="i3", items=["i1", "i2"])) == [["i3", "i1", "i2"]]
    cart = event(0, "add_to_cart", item_id="i1")
    assert wished(cart, event(1, "purchase", items=["i1", "i2"]), event(2, "purchase", items=["i1", "i3"])) == [
        ["i1"],
        ["i2"],
        ["i1", "i3"],
    ], "the second order is of its own"
    assert wished(cart, event(1, "purchase", user_id="u2", items=["i1", "i2"]))[1] == ["i1", "i2"]


def test_returns_low_ratings_and_what_is_no_step_are_no_wishes() -> None:
    no_wishes = [
        event(0, "purchase", item_id="i1", quantity=-1),
        event(1, "purchase", items=["i1", "i2"], quantity=-1),
        event(2, "rate", item_id="i1", rating=2),
        event(3, "impression", items=["i1"]),
        event(4, "remove_from_cart", item_id="i1"),
    ]
    assert wished(*no_wishes, event(5, "rate", item_id="i1", rating=3)) == [[]] * 5 + [["i1"]]
    with pytest.raises(Exception, match="views, clicks"):
        examples(no_wishes, WORDS)


def test_baskets_count_in_the_vocabulary_and_its_order() -> None:
    words = vocabulary([event(0, "purchase", items=["i1", "i2"]), event(1, "purchase", items=["i2", "i3"])], 1)
    assert words.item_ids == ["i2", "i1", "i3"]


def test_the_lines_of_a_basket_have_those_before_them_as_history_and_a_test_asks_the_first() -> None:
    basket = examples([event(0, item_id="i9"), event(1, "purchase", items=["i1", "new", "i2", "i3"])], WORDS)
    assert basket.target.tolist() == [9, 1, 2, 3]
    assert [basket.features.items[n, : basket.features.length[n]].tolist() for n in range(4)] == [
        [],
        [9],
        [9, 1],
        [9, 1, 2],
    ]
    assert basket.bought_together().tolist() == [False, False, True, True]
    assert drawn_questions(basket, 10, 7).target.tolist() == [1]


def test_a_low_rating_is_learned_as_a_rating_and_not_as_a_wish() -> None:
    event_list = [
        event(0, item_id="i1"),
        event(1, "rate", item_id="i2", rating=1),
        event(2, "rate", item_id="i3", rating=5),
    ]
    assert examples(event_list, WORDS).target.tolist() == [1, 3]
    rated = ratings(event_list, WORDS)
    assert rated is not None
    assert (rated.target.tolist(), rated.rating.tolist()) == ([2, 3], [1, 5])
    assert ratings(event_list[:1], WORDS) is None
    of_twelve = EventSettings(rating_scale=[0, 12])
    assert examples(event_list, WORDS, of_twelve).target.tolist() == [1]


def test_what_was_taken_back_is_a_negative_step_of_the_history() -> None:
    basket = examples(
        [
            event(0, "purchase", item_id="i1", quantity=-1),
            event(1, "rate", item_id="i2", rating=1),
            event(2, item_id="i3"),
        ],
        WORDS,
    )
    assert basket.features.items[0, :2].tolist() == [1, 2]
    assert set(basket.features.kinds[0, :2].tolist()) == {KINDS["remove_from_cart"]}


def user(name: str, *consents: bool | None) -> list[Event]:
    """Views, and what the user said of consent between them."""
    return [
        event(
            number,
            "view" if consent is None else "consent",
            event_id=f"{name}{number}",
            user_id=name,
            item_id="i1" if consent is None else None,
            context=None if consent is None else GRANTED if consent else REFUSED,
        )
        for number, consent in enumerate(consents)
    ]


def test_events_of_a_user_who_refused_consent_are_left_out_until_it_is_granted() -> None:
    event_list = [
        *user("never", None, None),
        *user("out", None, False, None),
        *user("back", None, False, None, None, True, None),
        *user("twice", None, False, None, True, None, False, None),
    ]
    remaining, counts = learnable(event_list)
    assert [event.event_id for event in remaining if event.event_type == "view"] == [
        "never0",
        "never1",
        "back0",
        "back5",
    ]
    assert counts == {"in": 18, "dropped: of 3 users who refused consent": 12}


def test_where_everybody_refused_there_is_nothing_to_learn() -> None:
    with pytest.raises(EventsFileError, match="dropped: of 1 users who refused consent 2"):
        learnable(user("out", None, False))


def test_a_robot_is_left_out_and_a_good_customer_is_not() -> None:
    people = [event(n, event_id=f"p{n}", user_id=f"u{n % 50}") for n in range(1000)]
    bot = [event(n, event_id=f"b{n}", user_id="bot") for n in range(950)]
    customer = [event(n, event_id=f"c{n}", user_id="customer") for n in range(390)]
    remaining, counts = learnable(sorted(people + bot + customer, key=lambda event: int(event.event_time)))
    assert {event.user_id for event in remaining} == {*(f"u{n}" for n in range(50)), "customer"}
    assert counts == {"in": 2340, "dropped: of 1 users with more events than a person": 950}


def test_a_robot_of_almost_half_the_events_changes_neither_popularity_nor_test(tmp_path: Path) -> None:
    people = [
        event(n, event_id=f"p{n}", user_id=f"u{n % 60}", item_id=f"i{(n * n) % 30}", event_time=NOW_MS + n * 60_000)
        for n in range(900)
    ]
    bot = [
        event(n, event_id=f"b{n}", user_id="bot", item_id=f"x{n % 40}", event_time=NOW_MS + n * 60_000 + 1)
        for n in range(850)
    ]
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(map(encode_record, people)))
    alone = of_events(file, None, **SPLIT)
    file.write_bytes(b"\n".join(map(encode_record, sorted(people + bot, key=lambda one: int(one.event_time)))))
    beside = of_events(file, None, **SPLIT)
    assert beside.words.item_ids == alone.words.item_ids
    assert np.array_equal(beside.train.target, alone.train.target)
    assert np.array_equal(beside.test.target, alone.test.target)
    assert "dropped: of 1 users with more events than a person" in beside.cleaning["events"]


def test_baskets_alone_are_events_to_learn_from(tmp_path: Path) -> None:
    orders = [
        event(
            n,
            "purchase",
            user_id=f"u{n % 50}",
            items=[f"i{(n + k) % 24}" for k in range(3)],
            event_time=NOW_MS + n * 600_000,
        )
        for n in range(500)
    ]
    check_training_data(orders, "orders")
    file = tmp_path / "orders.jsonl"
    file.write_bytes(b"\n".join(map(encode_record, orders)))
    split = of_events(file, None, **SPLIT)
    assert len(split.words) == 24
    assert len(split.train) == 3 * 450
    assert len(split.test) == 50
