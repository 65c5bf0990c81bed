"""The objects of one storefront: its tables, and what answers from them."""

import os
from pathlib import Path

from operators.demand.item_counts import HalfLives
from operators.demand.live_orders import LiveOrders
from operators.errors import SettingsError
from operators.kafka_io.list_outlines import ListOutline
from operators.kafka_io.table_consumer import kafka_consumer
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import ListItem, Reason
from operators.settings import Settings
from operators.telemetry.tracing import Tracer
from storefront.events.event_producer import EventProducer
from storefront.events.read_impressions import ReadImpressions
from storefront.http.live import LiveLists
from storefront.view.arrivals import Arrivals
from storefront.view.champion import Champion, bundle_of_settings
from storefront.view.search import Search
from storefront.view.search_engine import new_engine
from storefront.view.search_follower import SearchFollower
from storefront.view.served_list import ListServer, ServedItem, ServedList, served
from storefront.view.views import CatalogueView, Views
from storefront.watching.metrics import StoreMetrics
from storefront.watching.ops import Ops

TABLES = "storefront"
SIMILAR = 20
ARRIVALS = 2  # new products among similar items, after as many of the others


class Services:
    """The objects that the routes use."""

    def __init__(self, settings: Settings) -> None:
        endpoint = settings.tracing.otlp_endpoint
        self.metrics = StoreMetrics(Tracer(settings.tracing, "liveshelf-storefront") if endpoint else None)
        self.settings = settings.storefront
        self.live = LiveLists(settings.storefront)
        options = settings.kafka.consumer_options() | {"fetch_max_wait_ms": 500}
        folder = _tables_folder(settings)
        self._all_settings = settings
        self.bundle = bundle_of_settings(settings)
        shelf = CatalogueView(self.bundle.vocabulary if self.bundle else None, settings.lists.catalogue_coverage)
        refused = self.metrics.refused.counts
        engine = new_engine(settings, self.bundle)
        self.views = Views(
            folder,
            lambda: kafka_consumer(options),
            self._on_list,
            shelf,
            refused,
            settings.events.placeholders,
            live_orders(settings, self.bundle),
            SearchFollower(engine),
        )
        self.arrivals: Arrivals | None = None  # new products
        self.champion = Champion(settings, folder, lambda: kafka_consumer(options), self._serve)
        self.server = ListServer(self.views, self.bundle)
        self.search = Search(engine, shelf.may_be_listed, lambda: self.server.popular(), self.views.liked)
        self.producer = EventProducer(settings)
        self._impressions: ReadImpressions | None = None
        if settings.storefront.impressions == "reads":
            self._impressions = ReadImpressions(self.producer.publisher, self.metrics.on_impressions)
        self.ops = Ops(settings.storefront.prometheus_url)
        self.metrics.catalogue_age.set_function(lambda: self.views.ages()["catalogue"])
        self.metrics.lists_age.set_function(lambda: self.views.ages()["lists"])
        self.metrics.demand_age.set_function(lambda: self.views.ages().get("demand", 0.0))
        self.metrics.streams.set_function(lambda: self.live.streams)

    def _on_list(self, user_id: str, newest: ListOutline | None) -> None:
        self.metrics.on_list(newest)
        self.live.changed(user_id)

    def open(self) -> None:
        """Opens the tables. Called in a thread of its own: it may take seconds."""
        self.views.open()
        self._follow_arrivals(self.bundle)
        self.champion.open()

    def _serve(self, bundle: ModelBundle | None) -> None:
        """Another bundle's popular and similar items from here on. Search keeps its encoder, which is no part of the model."""
        self.views.use(bundle, live_orders(self._all_settings, bundle))
        self._follow_arrivals(bundle)
        self.server = ListServer(self.views, bundle)
        self.bundle = bundle

    def _follow_arrivals(self, bundle: ModelBundle | None) -> None:
        """Finds the products that this bundle does not know, where `exploration.enabled` is set."""
        former, self.arrivals = self.arrivals, None
        if former is not None:
            self.views.leave_items(former.changed)
            former.close()
        if bundle is not None and self._all_settings.exploration.enabled:
            self.arrivals = Arrivals(bundle)
            self.views.listen_to_items(self.arrivals.changed)
            self.arrivals.start()

    def list_of(self, user_id: str, limit: int) -> ServedList:
        """The list that a reader gets now. With `storefront.impressions = "reads"` it counts as shown."""
        answer = self.server.list_of(user_id, limit)
        if self._impressions is not None:
            self._impressions.shown(answer)
        return answer

    def close(self) -> None:
        """Publishes what waits, and closes tables and connections."""
        self.champion.close()
        self._follow_arrivals(None)
        self.views.close()
        if self._impressions is not None:
            self._impressions.close()
        self.producer.close()

    def similar(self, item_id: str) -> list[ServedItem]:
        """The neighbours of an item that may be listed now, with new products that are like it; of a new product the items that
        it is like."""
        if self.bundle is None:
            return []
        like, shelf = self.arrivals.like(item_id) if self.arrivals else [], self.views.shelf
        if row := self.bundle.vocabulary.row(item_id):
            ids = [self.bundle.vocabulary.item_ids[r - 1] for r in self.bundle.neighbours[row].tolist() if r]
            known, new = (list(filter(shelf.may_be_listed, items)) for items in (ids, like))
        else:
            known, new = list(filter(shelf.may_be_listed, like)), []
        similar, marked = Reason("similar", item_id), Reason("new", item_id)
        items = [(item, similar) for item in known]
        items[ARRIVALS:ARRIVALS] = [(item, marked) for item in new[:ARRIVALS]]
        return [served(ListItem(i, 0.0, n, why), n, shelf) for n, (i, why) in enumerate(items[:SIMILAR], start=1)]


def live_orders(settings: Settings, bundle: ModelBundle | None) -> LiveOrders | None:
    """What follows live demand, with new items too; None where `demand.enabled` is not set."""
    if not settings.demand.enabled:
        return None
    items = bundle.vocabulary.item_ids if bundle else []
    popular = [row - 1 for row in bundle.popular.tolist()] if bundle else []
    return LiveOrders(items, popular, HalfLives.of(settings.demand), adds_items=True)


def _tables_folder(settings: Settings) -> Path:
    folder = settings.resolve(settings.stack.data_dir) / "tables" / TABLES
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{folder}: no right to write")
    except OSError as error:
        fix = "name another folder, or give this user the right to it"
        raise SettingsError("a stack.data_dir that can be written", str(error), fix) from error
    return folder
