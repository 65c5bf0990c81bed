"""Counts and products become the pool."""

import numpy as np
import pytest

from operators.exploration import live_pool
from operators.exploration.live_pool import LivePool
from operators.exploration.pool import MOST_NEWCOMERS, Pool
from operators.kafka_io.catalogue_rows import GONE
from operators.lists.availability import is_offered
from operators.records.contracts import CatalogueItem
from operators.records.item_demand import HourDemand, ItemDemand
from operators.shopper.features import Vocabulary
from operators.time_units import HOUR_MS
from tests.builders import NOW_MS
from tests.operators.kafka_io.fake_topic import until

HOUR = HourDemand(began_at=0, views=0, carts=0, purchases=0, revenue=0)
WORDS = Vocabulary(["a", "b", "c", "d"])


class TitleLikes:
    """A product is like the row that its title says."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def of(self, item: CatalogueItem) -> tuple[int, ...]:
        self.asked.append(item.item_id)
        return (int(item.title),) if item.title else ()


class Follower:
    def __init__(self) -> None:
        self.now_ms, self.likes = NOW_MS, TitleLikes()
        self.live = LivePool(WORDS, self.likes, 200, 24 * HOUR_MS, is_offered, lambda: self.now_ms)  # type: ignore[arg-type]

    def shown(self, item: str, impressions: float, clicks: float, at: int | None = None) -> "Follower":
        counts = {"views": 0.0, "carts": 0.0, "purchases": 0.0, "revenue": 0.0, "trend": 1.0}
        self.live.demand_changed(
            item,
            ItemDemand(
                item_id=item,
                interest=0,
                acts=0,
                recent=0,
                counted_at=self.now_ms if at is None else at,
                hour=HOUR,
                previous_hour=HOUR,
                impressions=impressions,
                clicks=clicks,
                **counts,
            ),
        )
        return self

    def sells(self, item: str, title: str = "1", **fields: object) -> "Follower":
        self.live.item_changed(item, CatalogueItem(item_id=item, title=title, **fields))  # type: ignore[arg-type]
        return self

    def pool(self) -> Pool:
        self.live.compute()
        pool = self.live.newest()
        assert pool is not None
        return pool

    def known(self) -> dict[str, float]:
        pool = self.pool()
        rows, chances = np.frombuffer(pool.rows, "<i4"), np.frombuffer(pool.chances, "<f4")
        return {WORDS.item_ids[row - 1]: chance for row, chance in zip(rows.tolist(), chances.tolist(), strict=True)}

    def newcomers(self) -> list[str]:
        return [newcomer.item_id for newcomer in self.pool().newcomers]


def test_known_items_with_few_impressions_have_a_chance() -> None:
    followed = Follower().shown("a", 500, 5).shown("b", 100, 20).shown("c", 100, 1)
    chances, untouched = followed.known(), followed.pool().untouched
    assert chances["a"] == 0 and chances["b"] > 0.5 > untouched > chances["c"] > 0
    followed.now_ms += 3 * 24 * HOUR_MS
    assert followed.known()["a"] > 0, "its impressions have decayed below the limit"


def test_a_new_product_is_in_the_pool_until_it_is_not_sold() -> None:
    followed = Follower().sells("n1", "2", category="Mugs", brand="Acme").sells("a").sells("n2", "")
    (newcomer,) = followed.pool().newcomers
    assert (newcomer.item_id, newcomer.likes, newcomer.category, newcomer.brand) == ("n1", (2,), "Mugs", "Acme")
    assert followed.sells("n1", "2", in_stock=False).newcomers() == []
    assert followed.sells("n1", "2", available_from=NOW_MS + 1).newcomers() == []
    followed.now_ms += 1
    assert followed.newcomers() == ["n1"]
    followed.live.item_changed("n1", None)
    assert followed.newcomers() == []
    followed.sells("n1").live.item_changed("n1", GONE)
    assert followed.newcomers() == []


def test_likes_are_computed_once_and_again_when_the_text_changes() -> None:
    followed = Follower().sells("n1", "2")
    followed.newcomers()
    followed.sells("n1", "2", price=3.0).newcomers()
    assert followed.likes.asked == ["n1"]
    assert followed.sells("n1", "3").pool().newcomers[0].likes == (3,) and followed.likes.asked == ["n1", "n1"]


def test_the_newest_product_is_placed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_pool, "LIKES_S", 0.0)
    followed = Follower().sells("n1").sells("n2").sells("n3")
    assert [followed.newcomers() for _ in range(3)] == [["n3"], ["n3", "n2"], ["n3", "n2", "n1"]]


def test_clicks_make_a_newcomer_and_impressions_without_them_end_it() -> None:
    followed = Follower().sells("good").sells("bad").sells("fresh").shown("good", 300, 60).shown("bad", 300, 1)
    chances = {newcomer.item_id: newcomer.chance for newcomer in followed.pool().newcomers}
    assert chances["good"] > 0.7 > chances["fresh"] > chances["bad"]
    assert [*chances] == ["good", "fresh", "bad"]


def test_what_is_tracked_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_pool, "MAX_TRACKED", 3)
    followed = Follower()
    for n in range(5):
        followed.sells(f"n{n}").shown(f"n{n}", 10, 1)
    assert followed.newcomers() == ["n4", "n3", "n2"]
    monkeypatch.setattr(live_pool, "MAX_TRACKED", 1000)
    for n in range(400):
        followed.sells(f"m{n}")
    followed.shown("m0", 100, 50).shown("a", 1000, 30).shown("b", 1000, 20)
    assert len(followed.newcomers()) == MOST_NEWCOMERS and followed.newcomers()[:2] == ["m0", "m399"]


@pytest.mark.parametrize(
    ("impressions", "clicks"), [(float("nan"), 1.0), (-5.0, 3.0), (10.0, 1000.0), (float("inf"), 1.0), (0.0, 7.0)]
)
def test_counts_that_cannot_be_harm_nothing(impressions: float, clicks: float) -> None:
    followed = Follower().sells("n1").sells("n2").shown("n1", impressions, clicks).shown("a", impressions, clicks)
    pool = followed.pool()
    values = [pool.untouched, *(newcomer.chance for newcomer in pool.newcomers), *followed.known().values()]
    assert len(pool.newcomers) == 2 and all(0 <= value <= 1 for value in values)


def test_counts_of_a_clock_that_ran_ahead_do_not_count() -> None:
    followed = Follower().shown("b", 100, 50, at=NOW_MS + 2 * HOUR_MS)
    assert followed.known() == {}


def test_the_pool_stays_the_same_object_while_nothing_changes() -> None:
    followed = Follower().sells("n1").shown("a", 5, 1)
    first = followed.pool()
    assert followed.pool() is first and followed.sells("n2").pool() is not first


def test_an_empty_shop_has_a_pool() -> None:
    empty = LivePool(Vocabulary([]), TitleLikes(), 200, HOUR_MS, is_offered)  # type: ignore[arg-type]
    empty.compute()
    assert empty.newest() == Pool(1.0, b"", b"", ())


def test_the_thread_computes_and_ends() -> None:
    live = Follower().sells("n1").live
    live.start()
    until(lambda: live.newest() is not None)
    live.close()
    assert not live._thread.is_alive
