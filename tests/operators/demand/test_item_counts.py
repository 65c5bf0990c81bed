"""Sums that decay: the same whatever the order of events, and bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.demand.item_counts import LARGEST, Asked, HalfLives, ItemCounts
from operators.errors import LiveshelfError
from operators.time_units import HOUR_MS

NOW_MS = 1_700_000_000_000 // HOUR_MS * HOUR_MS
HALF = HalfLives(24 * HOUR_MS, 5 * 60_000)
EVENTS = st.lists(
    st.tuples(st.integers(NOW_MS - 7 * 24 * HOUR_MS, NOW_MS), st.integers(-2, 3), st.integers(-1, 2)), max_size=20
)


def counted(*events: tuple[int, Asked]) -> ItemCounts:
    counts = ItemCounts()
    for moment_ms, asked in events:
        counts.add(moment_ms, asked, HALF)
    return counts


def test_half_is_left_after_a_half_life() -> None:
    first, second = Asked(views=8, acts=8, interest=40), Asked(views=1, acts=1, interest=1)
    counts = counted((NOW_MS, first), (NOW_MS + 24 * HOUR_MS, second))
    assert counts.sums[0] == pytest.approx(5.0) and (counts.acts, counts.interest) == pytest.approx((5.0, 21.0))
    assert counts.recent == pytest.approx(1.0), "288 short half-lives later"


@given(EVENTS, st.randoms())
def test_the_order_of_events_changes_no_sum(events: list[tuple[int, int, int]], chance: object) -> None:
    asked = [(at, Asked(views=views, carts=carts, acts=carts, interest=views)) for at, views, carts in events]
    shuffled = [*asked]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    counts, others = counted(*asked), counted(*shuffled)
    newest = max((at for at, _ in asked), default=0)
    assert counts.at_ms == others.at_ms == newest
    expected = sum(one.views * 2.0 ** -((newest - at) / HALF.long_ms) for at, one in asked)
    for result in (counts, others):
        assert result.sums[0] == pytest.approx(expected) and result.interest == pytest.approx(expected)
    assert counts.recent == pytest.approx(others.recent)


@given(EVENTS)
def test_bytes_hold_everything(events: list[tuple[int, int, int]]) -> None:
    counts = counted(*((at, Asked(views=views, revenue=carts, interest=1)) for at, views, carts in events))
    counts.emitted_ms, counts.wake_ms = NOW_MS, NOW_MS + 1
    assert ItemCounts.read(counts.pack()) == counts


def test_an_hour_is_counted_without_decay_and_the_one_before_stays() -> None:
    counts = counted((NOW_MS + 1, Asked(views=1)), (NOW_MS + HOUR_MS, Asked(views=2)), (NOW_MS + 5, Asked(carts=3)))
    assert (counts.hour_ms, counts.hour, counts.previous) == (NOW_MS + HOUR_MS, [2, 0, 0, 0], [1, 3, 0, 0])
    counts.add(NOW_MS - 1, Asked(views=9), HALF)
    assert counts.previous == [1, 3, 0, 0], "of an hour before the last two: it is in the sums alone"
    counts.add(NOW_MS + 5 * HOUR_MS, Asked(purchases=1), HALF)
    assert (counts.hour, counts.previous) == ([0, 0, 1, 0], [0, 0, 0, 0])


DAY_MS = 24 * HOUR_MS
RETURN = Asked(purchases=-1, revenue=-5, acts=-1, interest=-15)
PURCHASE = Asked(purchases=1, revenue=5, acts=1, interest=15)


def test_a_return_takes_back_what_its_purchase_still_counts() -> None:
    """A hundred purchases, forty of which come back a week later."""
    bought_ms = NOW_MS - 7 * DAY_MS
    counts = counted(*[(bought_ms, PURCHASE)] * 100, (NOW_MS, Asked(views=200, acts=200, interest=200)))
    for _ in range(40):
        counts.take_back(NOW_MS + 1, bought_ms, RETURN, HALF)
    left = 60 / 2**7
    assert counts.sums == pytest.approx([200, 0, left, 5 * left])
    assert (counts.acts, counts.interest, counts.recent) == pytest.approx((200 + left, 200 + 15 * left, 200))
    assert counts.hour == [200, 0, -40, -200], "an hour has returns in full"


def test_a_return_of_a_purchase_that_is_not_known_is_in_its_hour_alone() -> None:
    counts = counted((NOW_MS, PURCHASE))
    counts.take_back(NOW_MS + 1, 0, RETURN, HALF)
    assert counts.sums == [0, 0, 1, 5] and counts.interest == 15 and counts.hour == [0, 0, 0, 0]
    first = ItemCounts()
    first.take_back(NOW_MS, 0, RETURN, HALF)
    assert first.at_ms == NOW_MS and first.sums == [0, 0, 0, 0] and first.hour == [0, 0, -1, -5]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9 * 24), st.integers(0, 9 * 24)), max_size=30))
def test_no_return_brings_a_sum_below_zero(acts: list[tuple[bool, int, int]]) -> None:
    counts = ItemCounts()
    for is_return, hour, bought_hour in acts:
        moment_ms, bought_ms = (NOW_MS + number * HOUR_MS for number in (hour, bought_hour))
        if is_return:
            counts.take_back(moment_ms, bought_ms, RETURN, HALF)
        else:
            counts.add(moment_ms, PURCHASE, HALF)
    assert min(*counts.sums, counts.acts, counts.interest, counts.recent) >= 0


def test_no_price_makes_a_sum_infinite() -> None:
    counts = counted(*[(NOW_MS, Asked(revenue=LARGEST, acts=LARGEST, interest=LARGEST))] * 3)
    assert counts.sums[3] == counts.interest == counts.acts == counts.recent == LARGEST


@pytest.mark.parametrize("packed", [b"", b"\x07", ItemCounts().pack()[:-1], b"\x03" + ItemCounts().pack()[1:]])
def test_other_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(LiveshelfError, match="counts of an item"):
        ItemCounts.read(packed)


def test_what_is_of_a_time_to_come_is_forgotten_when_the_clock_was_set_back() -> None:
    counts = counted((NOW_MS + 24 * HOUR_MS, Asked(views=4)))
    counts.forget_later(NOW_MS)
    counts.add(NOW_MS, Asked(views=1), HALF)
    assert (counts.at_ms, counts.hour_ms, counts.hour[0], counts.sums[0]) == (NOW_MS, NOW_MS, 1, 5)


def test_the_layout_before_impressions_is_read() -> None:
    counts = counted((NOW_MS, Asked(views=4, acts=3)))
    assert ItemCounts.read(b"\x01" + counts.pack()[1:-16]) == counts


def test_impressions_and_clicks_decay_as_views_do() -> None:
    counts = counted((NOW_MS, Asked(views=8, impressions=40, clicks=8)), (NOW_MS + HALF.long_ms, Asked(impressions=1)))
    assert (counts.impressions, counts.clicks, counts.sums[0]) == pytest.approx((21, 4, 4))
