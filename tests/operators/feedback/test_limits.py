"""The state is bounded; what falls out is counted and goes out as it stands."""

import random

from operators.feedback.join_limits import Limits
from tests.operators.feedback.shopper import HOUR, MINUTE, Shopper, served


def test_of_unseen_lists_the_newest_stay() -> None:
    shopper = Shopper()
    for number in range(12):
        shopper.gets(served(f"r{number}"))
    assert shopper.counts == {"unseen_list": 4}
    shopper.sees("i1", name="r3").sees("i1", name="r4").waits_out()
    assert [(e.recommendation_id, e.source) for e in shopper.examples] == [("r3", None), ("r4", "model")]


def test_an_unseen_list_goes_with_the_next_event_once_it_may_not_be_shown_any_more() -> None:
    shopper = Shopper().gets(served())
    assert not shopper.timers, "a timer of a day for each shopper would fill the heap"
    assert shopper.at(24 * HOUR - MINUTE).sees("i1", name=None).state is not None
    assert shopper.at(24 * HOUR + MINUTE).sees("i1", name=None).state is None
    assert shopper.counts == {"unseen_list": 1, "impression_without_list": 2}


def test_the_list_that_was_shown_longest_ago_goes_out_as_it_stands() -> None:
    shopper = Shopper(limits=Limits(lists=2))
    for number in range(3):
        shopper.after(MINUTE).sees("i1", "i2", name=f"r{number}")
        shopper.does("click", "i2", recommendation_id=f"r{number}") if number == 0 else None
    assert [(e.recommendation_id, e.item_id, e.label) for e in shopper.examples] == [
        ("r0", "i1", "none"),
        ("r0", "i2", "click"),
    ]
    assert shopper.counts["evicted_list"] == 1
    shopper.does("purchase", "i1", recommendation_id="r0").waits_out()
    assert shopper.counts["outside_window"] == 1
    assert len(shopper.values) == len({e.example_id for e in shopper.examples}) == 6


def test_items_are_bounded_too() -> None:
    shopper = Shopper(limits=Limits(items=30))
    for number in range(4):
        shopper.sees(*(f"i{item}" for item in range(10)), name=f"r{number}")
    assert shopper.counts["evicted_list"] == 1
    assert len(shopper.values) == 10


def test_an_impression_beyond_all_limits_goes_out_at_once() -> None:
    shopper = Shopper(limits=Limits(items=30)).sees(*(f"i{item}" for item in range(31)))
    assert (len(shopper.values), shopper.counts["evicted_list"]) == (31, 1)


def test_a_hostile_shopper_takes_bounded_room() -> None:
    draw = random.Random(5)
    shopper = Shopper()
    for number in range(400):
        items = [f"{draw.randrange(10**9)}".ljust(128, "é") for _ in range(50)]
        shopper.sees(*items, name=f"r{draw.randrange(200)}".ljust(128, "é"))
        shopper.does("purchase", items=items[:9], recommendation_id=f"r{number}")
        shopper.gets(served(f"s{number}", at=shopper.now))
    assert shopper.largest < 80_000
    assert shopper.counts["example"] == len(shopper.values)


def test_a_list_that_is_shown_again_and_again_takes_no_more_room() -> None:
    shopper = Shopper().gets(served()).sees("i1", "i2").sees("i1", "i2")
    before = len(shopper.state or b"")
    for _ in range(500):
        shopper.after(1000).sees("i1", "i2")
    assert len(shopper.state or b"") == before


def test_a_list_of_too_many_impressions_takes_no_more() -> None:
    shopper = Shopper()
    for number in range(400):
        shopper.sees(f"i{number}")
    assert shopper.counts["too_many_impressions"] == 150
    shopper.does("click", "i1", recommendation_id="r1").does("click", "i399", recommendation_id="r1")
    assert shopper.counts["too_many_impressions"] == 151
    assert shopper.waits_out().labels()["i1"] == "click"


def test_a_list_takes_so_many_items_and_no_more() -> None:
    shopper = Shopper().gets(served())
    for begin in range(0, 600, 200):
        shopper.sees(*(f"i{number}" for number in range(begin, begin + 200)))
    assert shopper.counts["too_many_items"] == 1
    shopper.does("purchase", items=[f"x{number}" for number in range(200)], recommendation_id="r1")
    assert shopper.counts["too_many_items"] == 2
    assert len(shopper.waits_out().labels()) == 400


def test_of_closed_lists_the_newest_are_remembered() -> None:
    shopper = Shopper(limits=Limits(closed=3))
    for number in range(5):
        shopper.sees("i1", name=f"r{number}").at(shopper.now + 25 * HOUR)
    shopper.at(shopper.now + 25 * HOUR).sees("i1", name="r4").sees("i1", name="r2")
    assert shopper.counts["closed_list"] == 2
    assert len(shopper.state or b"") < 40
