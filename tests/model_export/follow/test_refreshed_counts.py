"""What a candidate counts anew, beside what its champion knew: the history decides where it says something."""

from pathlib import Path

import numpy as np
import pytest

from model_export.data.dataset import Examples, examples
from model_export.follow.assortment import Assortment, assortment
from model_export.follow.lesson.refreshed_counts import FOLLOWER_EVENTS, Rows, fallbacks, follower_counts
from model_export.follow.offers import Offers
from operators.configuration.shop_settings import EventSettings
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import CATALOGUE, CatalogueItem, Event
from tests.builders import NOW_MS, event, write_bundle
from tests.model_export.follow.shop import FakeTopics

LIMITS = EventSettings()


@pytest.fixture
def champion(tmp_path: Path) -> ModelBundle:
    """Knows i1 to i8, popular in this order; i1's first neighbour is i2."""
    return ModelBundle.load(write_bundle(tmp_path / "champion"))


def views(*items: str, user: str = "u", minute: int = 0) -> list[Event]:
    return [
        event(
            event_id=f"{user}-{minute}-{place}", user_id=user, item_id=item, event_time=NOW_MS + minute * 60_000 + place
        )
        for place, item in enumerate(items)
    ]


def items_of(champion: ModelBundle, events: list[Event], *delisted: str) -> Assortment:
    topics, offers = FakeTopics(), Offers(frozenset())
    for item in delisted:
        topics.append(CATALOGUE, item, None, NOW_MS)
    offers.take(topics.changed_offers())
    return assortment(champion, events, offers, NOW_MS, LIMITS)


def asked(items: Assortment, events: list[Event]) -> Examples:
    return examples(events, items.words, LIMITS)


def counted(champion: ModelBundle, items: Assortment, events: list[Event]) -> dict[str, Rows]:
    questions = asked(items, events)
    return fallbacks(champion, items, questions, np.ones(len(questions)), champion.vectors)


def test_rows_are_numbered_anew_when_items_leave_and_join(champion: ModelBundle) -> None:
    events = [one for user in range(3) for one in views("i7", "new", user=f"u{user}")]
    items = items_of(champion, events, "i1", "i7", "i8")
    assert items.words.item_ids == ["i2", "i3", "i4", "i5", "i6", "i7", "new"]
    assert items.left == ["i1", "i8"] and items.new == ["new"], "i7 is wanted"
    assert items.renumbered(np.arange(9, dtype=np.int32)).tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 0]
    assert items.vectors[0] @ champion.vectors[7] > 0.99 * np.linalg.norm(champion.vectors[7])


def test_an_item_that_came_twice_does_not_join_yet(champion: ModelBundle) -> None:
    events = [one for user in range(2) for one in views("i7", "new", user=f"u{user}")]
    assert items_of(champion, events).new == []


def test_items_of_another_day_are_no_company(champion: ModelBundle) -> None:
    events = [
        one for user in range(3) for one in (*views("i7", user=f"u{user}"), *views("new", user=f"u{user}", minute=99))
    ]
    assert items_of(champion, events).new == [], "nothing says where it belongs"


def test_an_item_begins_near_those_of_its_category(champion: ModelBundle) -> None:
    events = [one for user in range(3) for one in views("i7", "new", user=f"u{user}")]
    topics = FakeTopics()
    topics.sell(*(CatalogueItem(item_id=item, category=["mugs"]) for item in ("i2", "i3", "new")))
    offers = Offers(frozenset())
    offers.take(topics.changed_offers())
    (alone,) = items_of(champion, events).vectors
    (placed,) = assortment(champion, events, offers, NOW_MS, LIMITS).vectors
    mugs = champion.vectors[2] + champion.vectors[3]
    assert placed @ mugs > alone @ mugs + 0.1
    assert placed @ champion.vectors[7] > 0, "the company that it keeps counts too"


def test_few_events_leave_the_popular_list_and_many_change_it(champion: ModelBundle) -> None:
    for count, first in ((3, "i1"), (400, "i8")):
        events = [one for user in range(count) for one in views("i8", user=f"u{user}", minute=user)]
        items = items_of(champion, events)
        arrays = counted(champion, items, events)
        assert items.words.item_ids[arrays["popular"][0] - 1] == first
        assert sorted(arrays["popular"]) == list(range(1, 9))


def test_what_rose_in_the_newest_quarter_trends(champion: ModelBundle) -> None:
    steady = [one for user in range(100) for one in views("i1", user=f"s{user}", minute=user)]
    risen = [one for user in range(40) for one in views("i5", user=f"r{user}", minute=80 + user // 2)]
    events = sorted(steady + risen, key=lambda one: int(one.event_time))
    items = items_of(champion, events)
    arrays = counted(champion, items, events)
    assert [items.words.item_ids[row - 1] for row in arrays["trending"]] == ["i5"]


def test_a_new_habit_becomes_a_neighbour_and_the_others_stay(champion: ModelBundle) -> None:
    events = [one for user in range(5) for one in views("i1", "i6", user=f"u{user}")]
    items = items_of(champion, events)
    neighbours = counted(champion, items, events)["neighbours"]
    assert neighbours[1][:2].tolist() == [6, 2] and neighbours[4][0] == champion.neighbours[4][0]


def test_followers_stay_where_the_history_has_none_and_yield_where_it_has(champion: ModelBundle) -> None:
    rows, share = np.zeros((9, 2), np.int32), np.full((9, 2), -20.0, np.float32)
    rows[1, 0] = rows[2, 0] = 3
    share[1, 0] = share[2, 0] = 0.0
    seen = np.log1p(np.array([0, 500, 500, 0, 0, 0, 0, 0, 0], np.float32))
    events = [one for user in range(30) for one in views("i1", "i6", user=f"u{user}")]
    items = items_of(champion, events)
    questions = asked(items, events)
    counts = follower_counts(items, questions, np.ones(len(questions)), rows, share, seen)
    assert counts[2, 3] == pytest.approx(500, rel=1e-3) and counts[1, 3] == pytest.approx(FOLLOWER_EVENTS)
    assert counts[1, 6] == 30
    aged = follower_counts(items, questions, np.full(len(questions), 0.25), rows, share, seen)
    assert aged[1, 6] == 7.5
