"""The scorer process learns what is popular now."""

from pathlib import Path

import numpy as np

from operators.configuration.shop_settings import ExplorationSettings
from operators.demand.live_orders import HEAD
from operators.demand.popularity import Orders
from operators.exploration.pool import Newcomer, Pool
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.shopper.state_layout import EMPTY
from pipelines.scoring.orders_feed import OrdersFeed, PoolFeed, unpacked
from tests.builders import NOW_MS, viewed
from tests.pipelines.scoring.scorer_requests import Start, ask, items_of


def orders(*popular: int) -> Orders:
    return Orders(np.array(popular, dtype=np.intp), np.array(popular[:1], dtype=np.intp))


def test_orders_are_told_once_and_a_new_process_is_told_again() -> None:
    newest: list[Orders | None] = [None]
    feed = OrdersFeed(lambda: newest[0])
    assert feed.news() is None
    newest[0] = orders(*range(2 * HEAD))
    told = feed.news()
    assert told is not None and feed.news() is None
    assert unpacked(told).popular.tolist() == [*range(HEAD)] and unpacked(told).trending.tolist() == [0]
    feed.start_over()
    assert feed.news() == told


def test_a_strangers_list_of_the_process_follows(start: Start, bundle: Path) -> None:
    newest: list[Orders | None] = [None]
    process = start(bundle, live=lambda: newest[0])
    process.ready()
    stranger = [Request("stranger", EMPTY, NOW_MS)]
    before = items_of(ask(process, stranger)[0])
    newest[0] = orders(*reversed(range(8)))
    (after,) = ask(process, stranger)
    assert isinstance(after, Encoded) and after.source == "popular"
    assert items_of(after)[:3] == ["i8", "i7", "i6"] != before[:3]


def test_a_pool_is_told_once_and_a_new_process_is_told_again() -> None:
    newest: list[Pool | None] = [None]
    feed = PoolFeed(lambda: newest[0])
    assert feed.news() is None
    newest[0] = Pool(0.5, b"", b"", ())
    assert feed.news() is newest[0] and feed.news() is None
    feed.start_over()
    assert feed.news() is newest[0]


def test_a_new_product_is_on_the_next_list_of_the_process(start: Start, bundle: Path) -> None:
    newest: list[Pool | None] = [None]
    exploring = ExplorationSettings(enabled=True, share=1 / 8, first_position=8)
    process = start(bundle, pool=lambda: newest[0], exploration=exploring)
    process.ready()
    shopper = [Request("u1", viewed("i4"), NOW_MS)]
    assert "new one" not in items_of(ask(process, shopper)[0])
    newest[0] = Pool(0.0, b"", b"", (Newcomer("new one", 1.0, (5,)),))
    assert items_of(ask(process, shopper)[0])[7] == "new one"
