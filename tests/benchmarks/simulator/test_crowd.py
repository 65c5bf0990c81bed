from collections import Counter, defaultdict

import numpy as np
import pytest

from benchmarks.simulator.crowd import Crowd, Look, Pace, Slate
from benchmarks.simulator.history import END_MS, NoShelf, past
from benchmarks.simulator.truth import best_rows, expected_clicks, relevance
from benchmarks.simulator.world import World
from operators.configuration.shop_settings import EventSettings
from operators.errors import LiveshelfError
from operators.records.contracts import Event, encode_record
from operators.records.event_decode import EventDecoder
from tests.benchmarks.simulator.shops import small_world
from tests.benchmarks.simulator.test_real_shops import BOLCOM, SESSIONS
from tests.builders import NOW_MS

PACE = Pace(think_s=2.0, return_s=60.0)


class BestOfAll:
    """The same list for everybody."""

    def __init__(self, world: World) -> None:
        self._items = [world.item_ids[row] for row in world.popular(0)]

    def newest(self, user: str) -> Slate:
        return Slate(f"r-{user}", self._items, "best 1", "model")


def played(seconds: float, pace: Pace = PACE) -> tuple[World, list[Event], list[Look]]:
    world, events, looks = small_world(), list[Event](), list[Look]()
    crowd = Crowd(world, pace, BestOfAll(world), "test", NOW_MS, events.append, looks.append)
    crowd.advance(seconds)
    return world, events, looks


def by_session(events: list[Event]) -> dict[str | None, list[Event]]:
    sessions = defaultdict[str | None, list[Event]](list)
    for event in events:
        sessions[event.session_id].append(event)
    return sessions


def test_the_job_takes_every_event() -> None:
    decoder = EventDecoder(EventSettings())
    _, events, _ = played(120)
    assert {event.event_type for event in events} == {"view", "click", "impression", "add_to_cart", "purchase"}
    for event in events:
        decoder.decode(event.user_id, encode_record(event), int(event.event_time))
    assert len({event.event_id for event in events}) == len(events)


def test_events_come_in_the_order_of_time() -> None:
    times = [int(event.event_time) - NOW_MS for event in played(120)[1]]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= 120_000


def test_shoppers_cause_the_rate_that_was_asked_for() -> None:
    pace = Pace.of_rate(20.0, 300, think_s=1.0)
    assert len(played(600, pace)[1]) == pytest.approx(600 * 20, rel=0.15)


def test_more_than_the_shoppers_can_do_is_refused() -> None:
    with pytest.raises(LiveshelfError, match="events/s"):
        Pace.of_rate(1e4, 300, think_s=1.0)


def test_clicks_that_came_agree_with_those_that_the_truth_expects() -> None:
    _, _, looks = played(1_200)
    expected = sum(expected_clicks(look.relevant, look.rows) for look in looks)
    assert len(looks) > 2_000
    # at most one in a hundred thousand runs lies outside: a sum of independent clicks has less variance than its mean
    assert sum(len(look.clicks) for look in looks) == pytest.approx(expected, abs=4.4 * np.sqrt(expected))


def test_clicks_and_baskets_name_the_list_and_the_place_that_they_come_from() -> None:
    _, events, looks = played(300)
    shown = {f"r-{look.user}": look.slate for look in looks}
    clicks = [event for event in events if event.event_type == "click"]
    assert clicks
    for event in (event for event in events if event.recommendation_id is not None and event.item_id is not None):
        assert event.position is not None and event.recommendation_id is not None
        assert shown[event.recommendation_id].items[event.position] == event.item_id
    assert all(click.recommendation_id for click in clicks)


def test_an_impression_comes_before_its_clicks_and_names_the_shown_items() -> None:
    world, events, _ = played(300)
    shown = [world.item_ids[row] for row in world.popular(0)]
    for session in by_session(events).values():
        kinds = [event.event_type for event in session]
        if "click" in kinds:
            assert "impression" in kinds[: kinds.index("click")]
    assert {tuple(event.items or ()) for event in events if event.event_type == "impression"} == {tuple(shown)}


def test_only_what_is_in_the_basket_is_bought() -> None:
    for session in by_session(played(300)[1]).values():
        carted = {event.item_id for event in session if event.event_type == "add_to_cart"}
        assert {event.item_id for event in session if event.event_type == "purchase"} <= carted


def test_a_shopper_does_not_click_again_what_they_took() -> None:
    world = small_world()
    crowd = Crowd(world, PACE, NoShelf(), "test", 0, lambda event: None)
    crowd.advance(600)
    shopper = max(range(300), key=lambda one: len(crowd.taken[one]))
    relevant = relevance(world, shopper, 0, crowd.taken[shopper])
    assert not {*best_rows(relevant, 20).tolist()} & {*crowd.taken[shopper]}


def test_a_past_has_the_skew_and_the_sessions_of_a_real_shop() -> None:
    events = [
        event for event in past(small_world(shoppers=600), days=5, sessions=5) if event.event_type in ("view", "click")
    ]
    views = np.sort([*Counter(event.item_id for event in events if event.event_type == "view").values()])[::-1]
    for top in (0.05, 0.1, 0.2, 0.5):
        assert views[: round(top * 200)].sum() / views.sum() == pytest.approx(BOLCOM[top], abs=0.05)
    lengths = [len(session) for session in by_session(events).values()]
    for share in (0.1, 0.25, 0.5, 0.75, 0.9, 0.95):
        assert np.quantile(lengths, share, method="inverted_cdf") == pytest.approx(SESSIONS[share], abs=1)
    assert min(int(event.event_time) for event in events) >= END_MS - 5 * 86_400_000
    assert max(int(event.event_time) for event in events) <= END_MS


def test_the_same_past_comes_twice() -> None:
    def one() -> list[bytes]:
        return [encode_record(event) for event in past(small_world(), days=0.5, sessions=1)]

    assert one() == one() and len(one()) > 500
