"""The scorer process learns what is popular now."""

from pathlib import Path

import numpy as np

from operators.demand.live_orders import HEAD
from operators.demand.popularity import Orders
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.shopper.state_layout import EMPTY
from pipelines.scoring.orders_feed import OrdersFeed, unpacked
from tests.builders import NOW_MS
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
