import time
from pathlib import Path

import msgspec

from operators.demand.live_orders import LiveOrders
from operators.kafka_io.catalogue_rows import GONE
from operators.records.contracts import (
    CATALOGUE,
    ITEMS,
    ORDER_HEADER,
    RECOMMENDATIONS,
    CatalogueItem,
    ListItem,
    Reason,
    encode_record,
)
from operators.shopper.features import Vocabulary
from operators.time_units import DAY_MS
from storefront.view.served_list import ListServer
from storefront.view.views import CatalogueView, Views
from storefront.watching.metrics import StoreMetrics
from tests.builders import NOW_MS
from tests.operators.demand.test_live_orders import HALF, demand
from tests.operators.kafka_io.fake_topic import Consumer, Topic, until
from tests.operators.kafka_io.test_list_rows import list_of

WORDS = Vocabulary([f"i{n}" for n in range(1, 5)])


class Topics:
    """The topics of the views, and a view of them."""

    def __init__(self, folder: Path, shelf: CatalogueView | None = None, orders: LiveOrders | None = None) -> None:
        self.catalogue, self.lists, self.items, self.orders = Topic(), Topic(), Topic(), orders
        self.folder, self.shelf = folder, CatalogueView(WORDS, 0.5) if shelf is None else shelf
        self.reported: list[tuple[str, int | None]] = []
        self.metrics = StoreMetrics()

    def connect(self) -> Consumer:
        topics = {CATALOGUE: self.catalogue, RECOMMENDATIONS: self.lists, ITEMS: self.items}

        class Either(Consumer):
            def __init__(self) -> None:
                super().__init__(Topic())

            def partitions_for_topic(self, topic: str) -> set[int]:
                self._topic = topics[topic]
                return super().partitions_for_topic(topic)

        return Either()

    def put(self, user: str, version: int, expires_at: int | None = None, *, with_header: bool = False) -> None:
        items = [ListItem(item, 0.5, rank, Reason("viewed")) for rank, item in enumerate(WORDS.item_ids, start=1)]
        until_ms = time.time_ns() // 1_000_000 + DAY_MS if expires_at is None else expires_at
        slate = list_of(1, version, user=user, items=items, expires_at=until_ms)
        headers = [(ORDER_HEADER, f"1.{version}".encode())] if with_header else []
        self.lists.append(user, msgspec.json.encode(slate).decode(), *headers)

    def view(self) -> Views:
        def reported(user: str, slate: object) -> None:
            self.reported.append((user, getattr(slate, "version", None)))

        views = Views(self.folder, self.connect, reported, self.shelf, self.metrics.refused.counts, orders=self.orders)
        views.open()
        until(lambda: views.complete)
        return views


def refusal_count(metrics: StoreMetrics, reason: str) -> float | None:
    return metrics.registry.get_sample_value("liveshelf_storefront_refused_lists_total", {"reason": reason})


def test_a_record_that_is_no_list_costs_nobody_a_read_or_a_wake_up(tmp_path: Path) -> None:
    """Such a record was taken once: its user's reads were errors, and the rest of its batch woke no stream."""
    topics = Topics(tmp_path)
    topics.put("before", 1)
    topics.put("hit", 3)
    topics.lists.append("hit", '{"version": 4}')
    topics.lists.append("stranger", '{"version": 1, "items": []}')
    topics.put("after", 1)
    views = topics.view()
    assert topics.reported == [("before", 1), ("hit", 3), ("after", 1)]
    assert [getattr(views.list_of(user), "version", None) for user in ("hit", "stranger")] == [3, None]
    assert (refusal_count(topics.metrics, "not_a_list"), refusal_count(topics.metrics, "older")) == (2, 0)
    views.close()


def test_an_erased_list_does_not_come_back_late(tmp_path: Path) -> None:
    topics = Topics(tmp_path)
    topics.put("u", 7)
    topics.lists.append("u", None)
    topics.put("u", 6)
    views = topics.view()
    assert views.list_of("u") is None
    assert refusal_count(topics.metrics, "erased") == 1
    topics.put("u", 8)
    until(lambda: views.list_of("u") is not None)
    views.close()


def served(topics: Topics, views: Views, shift_ms: int = 0) -> tuple[bool, bool, list[str]]:
    answer = ListServer(views, None, lambda: NOW_MS + shift_ms).list_of("u", 10)
    return answer.known, answer.expired, [item.item_id for item in answer.items]


def test_an_expired_list_is_no_list(tmp_path: Path) -> None:
    far_ms = time.time_ns() // 1_000_000 + 30 * DAY_MS
    topics = Topics(tmp_path)
    topics.put("u", 1, expires_at=far_ms)
    views = topics.view()
    shift = far_ms - NOW_MS
    assert served(topics, views, shift - 1) == (True, False, WORDS.item_ids)
    assert served(topics, views, shift) == (False, True, []), "without a bundle the popular list is empty"
    answer = ListServer(views, None, lambda: far_ms - 1).list_of("u", 10)
    assert (answer.epoch, answer.expires_at) == (1, far_ms)
    stranger = ListServer(views, None).list_of("stranger", 10)
    assert (stranger.known, stranger.expired, stranger.expires_at) == (False, False, None)
    views.close()


def test_one_test_product_empties_no_list(tmp_path: Path) -> None:
    """What the catalogue does not hold counts as delisted once it holds half of the model's items, as in the job."""
    topics = Topics(tmp_path)
    topics.put("u", 1)
    topics.catalogue.append("test-product", encode_record(CatalogueItem(item_id="test-product")).decode())
    views = topics.view()
    assert served(topics, views)[2] == WORDS.item_ids
    for item in ("i1", "i2"):
        topics.catalogue.append(item, encode_record(CatalogueItem(item_id=item)).decode())
    until(lambda: served(topics, views)[2] == ["i1", "i2"])
    views.close()


def test_an_item_is_listed_within_its_times_only(tmp_path: Path) -> None:
    clock = [NOW_MS]
    topics = Topics(tmp_path, CatalogueView(WORDS, 0.5, lambda: clock[0]))
    topics.put("u", 1)
    item = CatalogueItem(item_id="i1", title="Red lantern", available_from=NOW_MS, available_until=NOW_MS + 10)
    topics.catalogue.append("i1", encode_record(item).decode())
    views = topics.view()
    listed = []
    for clock[0] in (NOW_MS - 1, NOW_MS, NOW_MS + 9, NOW_MS + 10):
        listed.append("i1" in served(topics, views)[2])
    assert listed == [False, True, True, False]
    views.close()


def test_without_a_model_what_the_catalogue_does_not_hold_is_sold_unless_it_was_delisted() -> None:
    shelf = CatalogueView()
    shelf.changed("i1", CatalogueItem(item_id="i1"))
    assert shelf.may_be_listed("anything")
    shelf.changed("i1", None)
    assert (shelf.may_be_listed("i1"), len(shelf)) == (False, 0)
    shelf.changed("i1", GONE)
    assert shelf.may_be_listed("i1"), "the topic was made anew: nothing is known of it"


def test_strangers_get_what_is_asked_for_now_and_new_items_that_the_catalogue_has(tmp_path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    topics = Topics(tmp_path, orders=LiveOrders(WORDS.item_ids, [0, 1, 2, 3], HALF, adds_items=True))
    for item, interest in (("i3", 500.0), ("new", 900.0), ("nobody-sells-it", 2000.0)):
        topics.items.append(item, encode_record(demand(item, interest, at=now_ms)).decode())
    topics.catalogue.append("new", encode_record(CatalogueItem(item_id="new", title="New")).decode())
    views = topics.view()
    server = ListServer(views, None)

    def listed() -> list[str]:
        return [item.item_id for item in server.list_of("stranger", 3).items]

    until(lambda: listed() == ["new", "i3", "i1"])
    assert views.ages().keys() == {"catalogue", "lists", "demand"}
    topics.catalogue.append("new", None)
    until(lambda: listed() == ["i3", "i1", "i2"])
    topics.items.append("i2", encode_record(demand("i2", 9000.0, at=now_ms)).decode())
    until(lambda: listed() == ["i2", "i3", "i1"])
    views.close()
