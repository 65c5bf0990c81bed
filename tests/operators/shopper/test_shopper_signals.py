"""What shoppers say besides views: ratings, returns, baskets, sessions of their own, and consent."""

import msgspec
import numpy as np
import pytest

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.records.event_decode import EventDecoder
from operators.shopper.state_layout import MAX_BOUGHT, MAX_DISLIKED, read_states, stored
from operators.shopper.user_state import (
    KINDS,
    LOW,
    TAKEN_OUT,
    digest,
    id_hash,
    last_event_ms,
    session_start_s,
    step,
    version_of,
)
from tests.builders import NOW_MS, event, state_after

MINUTE = 60  # of the event numbers, which are seconds


def fields(state: bytes) -> np.void:
    return read_states([state])[0]


def held(state: bytes, name: str) -> set[int]:
    return set(fields(state)[name].tolist()) - {0}


def lows(*items: str) -> set[int]:
    return {id_hash(item) & LOW for item in items}


def rated(number: int, item: str, rating: float) -> bytes:
    return msgspec.json.encode(
        {"event_id": f"r{number}", "event_type": "rate", "event_time": NOW_MS, "user_id": "u1", "item_id": item}
        | ({"rating": rating} if rating is not None else {})
    )


def test_a_low_rating_is_a_step_that_takes_out_and_marks_the_item() -> None:
    state = state_after(event(0, "rate", item_id="bad", rating=1), event(1, "rate", item_id="good", rating=3))
    assert fields(state)["kind"][:2].tolist() == [TAKEN_OUT, KINDS["rate"]]
    assert held(state, "disliked") == lows("bad")


def test_of_two_ratings_and_of_a_rating_and_a_purchase_the_newer_counts() -> None:
    bad = event(0, "rate", item_id="i1", rating=1)
    assert held(state_after(bad, event(1, "rate", item_id="i1", rating=5)), "disliked") == set()
    assert held(state_after(bad, event(1, "purchase", item_id="i1")), "disliked") == set()
    assert held(
        state_after(event(1, "rate", item_id="i1", rating=5), event(2, "rate", item_id="i1", rating=2)), "disliked"
    )


def test_the_middle_of_the_scale_is_the_shops() -> None:
    four = event(0, "rate", item_id="i1", rating=4)
    assert not held(step(None, four).state, "disliked")
    assert held(step(None, four, rating_middle=EventSettings(rating_scale=[0, 10]).rating_middle).state, "disliked")


def test_a_rating_outlives_the_steps_and_the_newest_stay() -> None:
    many = [event(n, "rate", item_id=f"i{n}", rating=1) for n in range(MAX_DISLIKED + 2)]
    views = [event(100 + n, item_id=f"v{n}") for n in range(60)]
    assert held(state_after(*many, *views), "disliked") == lows(*(f"i{n}" for n in range(2, MAX_DISLIKED + 2)))


@pytest.mark.parametrize(("rating", "reason"), [(None, "missing_rating"), (0, "bad_amount"), (5.5, "bad_amount")])
def test_a_rating_that_is_none_is_refused(rating: float | None, reason: str) -> None:
    with pytest.raises(BadRecord) as refused:
        EventDecoder(EventSettings()).decode("u1", rated(0, "i1", rating), NOW_MS)
    assert refused.value.reason == reason


def test_a_scale_is_the_lowest_and_the_highest_rating() -> None:
    assert EventDecoder(EventSettings(rating_scale=[0, 10])).decode("u1", rated(0, "i1", 10), NOW_MS).rating == 10
    with pytest.raises(ValueError, match="lowest rating first"):
        EventSettings(rating_scale=[5, 1])


def test_an_order_of_thirty_lines_is_remembered_and_the_newest_lines_of_a_huge_one() -> None:
    order = [f"i{n}" for n in range(30)]
    assert held(state_after(event(0, "purchase", items=order)), "bought") == lows(*order)
    huge = [f"i{n}" for n in range(MAX_BOUGHT + 12)]
    assert held(state_after(event(0, "purchase", items=huge)), "bought") == lows(*huge[12:])


def test_an_item_and_a_basket_are_one_order() -> None:
    state = state_after(event(0, "purchase", item_id="i1", items=["i1", "i2"]))
    assert held(state, "bought") == lows("i1", "i2")
    assert fields(state)["steps"] == 2


def test_a_return_is_no_purchase_and_gives_the_item_back() -> None:
    bought = state_after(event(0, "purchase", items=["i1", "i2"]))
    returned = step(bought, event(1, "purchase", item_id="i1", quantity=-1)).state
    assert held(returned, "bought") == lows("i2")
    assert fields(returned)["kind"][2] == TAKEN_OUT
    assert version_of(returned) == 2
    again = step(returned, event(2, "purchase", items=["i1"], quantity=2)).state
    assert held(again, "bought") == lows("i1", "i2")
    never = state_after(event(0, "purchase", items=["i1", "i2"], quantity=-1))
    assert held(never, "bought") == set() and fields(never)["steps"] == 2


def test_an_impression_of_one_item_counts_too() -> None:
    assert held(state_after(event(0, "impression", item_id="i1")), "shown_item") == lows("i1")


def sessions(*given: tuple[int, str | None]) -> list[int]:
    """The beginning of the session after each event, s after the first; from (s, session id)."""
    state, found = None, []
    for number, (second, name) in enumerate(given):
        state = step(state, event(second, event_id=f"s{number}", session_id=name)).state
        found.append(session_start_s(state) - NOW_MS // 1000)
    return found


def test_another_session_id_begins_a_session_and_the_same_one_goes_on_whatever_the_gap() -> None:
    assert sessions((0, "a"), (5, "a"), (9, "b"), (12, "b")) == [0, 0, 9, 9]
    assert sessions((0, "a"), (90 * MINUTE, "a")) == [0, 0]


def test_without_an_id_the_gap_decides() -> None:
    assert sessions((0, None), (5, None), (90 * MINUTE, None)) == [0, 0, 90 * MINUTE]
    assert sessions((0, None), (5, "a"), (9, None), (90 * MINUTE, None)) == [0, 0, 0, 90 * MINUTE]
    assert sessions((0, "a"), (90 * MINUTE, None), (90 * MINUTE + 1, "b")) == [0, 90 * MINUTE, 90 * MINUTE]


def test_a_late_event_of_a_session_that_is_over_begins_none() -> None:
    assert sessions((0, "a"), (9, "b"), (8, "a"), (10, "b")) == [0, 9, 9, 9]


REFUSED = {"personalisation": "denied"}
GRANTED = {"personalisation": "granted"}


def test_a_refusal_drops_what_was_stored_and_nothing_is_stored_after_it() -> None:
    before = state_after(
        event(0, item_id="i1", session_id="s"),
        event(1, "purchase", items=["i2"]),
        event(2, "rate", item_id="i3", rating=1),
        event(3, "impression", items=["i4"]),
        event(4, "consent", context=REFUSED),
    )
    after = before
    kinds = ("view", "add_to_cart", "purchase", "rate", "impression")
    for number, kind in enumerate(kinds, start=5):
        after = step(after, event(number, kind, item_id="i5", rating=1, session_id="s")).state
    for state in (before, after):
        record = fields(state)
        kept = {name for name in record.dtype.names if np.any(record[name])}
        assert kept == {"layout", "flags", "version", "seen", "last_event_ms", "epoch_s", "event_hash"}
    assert version_of(after) == 4 + 4
    assert last_event_ms(after) == NOW_MS + 8000
    assert step(after, event(7)).outcome == "duplicate"


def test_consent_that_is_granted_again_begins_anew_and_nothing_else_grants_it() -> None:
    refused = state_after(event(0, item_id="i1"), event(1, "consent", context=REFUSED))
    for unclear in (None, {}, {"personalisation": "perhaps"}, {"personalisation": None}):
        still = step(refused, event(2, "consent", context=unclear)).state
        assert not fields(step(still, event(3, item_id="i2")).state)["steps"]
    granted = step(refused, event(2, "consent", context=GRANTED)).state
    anew = step(granted, event(3, item_id="i2")).state
    assert fields(anew)["item"][0] == id_hash("i2") and fields(anew)["steps"] == 1


def test_every_array_survives_the_stored_form() -> None:
    state = state_after(
        event(0, session_id="s"),
        event(1, "purchase", items=[f"i{n}" for n in range(40)]),
        event(2, "rate", item_id="i3", rating=1),
        event(3, "impression", items=["i4"]),
    )
    assert digest(stored(state)) == digest(state)
