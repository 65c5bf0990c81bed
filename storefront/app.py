"""The HTTP interface of the storefront; `/docs` describes it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.routing import APIRoute
from prometheus_client.exposition import choose_encoder

from operators.demand.item_counts import HalfLives
from operators.demand.live_orders import LiveOrders
from operators.errors import BadRecord, BrokerError, BundleError, SettingsError
from operators.kafka_io.list_outlines import ListOutline
from operators.kafka_io.table_consumer import kafka_consumer
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import CatalogueItem, ListItem, Reason
from operators.settings import Settings
from operators.telemetry.tracing import Tracer
from storefront.events.event_producer import BadEvent, EventProducer
from storefront.events.read_impressions import ReadImpressions
from storefront.http.answers import Refused, add_refusals, encode, json_answer, refusal
from storefront.http.batches import BodyRefused, read_body, split_batch
from storefront.http.guard import Guard
from storefront.http.live import ListStream, LiveLists
from storefront.http.pages import add_pages
from storefront.http.path_ids import PathId
from storefront.http.strict_route import StrictRoute
from storefront.openapi import EventBody, Taken, add_components, content
from storefront.view.arrivals import Arrivals
from storefront.view.search import Search
from storefront.view.served_list import ListServer, ServedItem, ServedList, served
from storefront.view.views import CatalogueView, Views
from storefront.watching.measured import Measured
from storefront.watching.metrics import StoreMetrics
from storefront.watching.ops import Ops, Overview

TABLES = "storefront"
SIMILAR = 20
ARRIVALS = 2  # new products among similar items, after as many of the others
MAX_QUERY = 256  # characters of a search
# refusals that any route may answer: from the guard, the limits, or a bad parameter
GUARDED: dict[int | str, dict[str, Any]] = {code: content(Refused) for code in (400, 403, 422, 429)}


class Services:
    """The objects that the routes use."""

    def __init__(self, settings: Settings) -> None:
        endpoint = settings.tracing.otlp_endpoint
        self.metrics = StoreMetrics(Tracer(settings.tracing, "liveshelf-storefront") if endpoint else None)
        self.settings = settings.storefront
        self.live = LiveLists(settings.storefront)
        options = settings.kafka.consumer_options() | {"fetch_max_wait_ms": 500}
        folder = _tables_folder(settings)
        try:
            self.bundle: ModelBundle | None = ModelBundle.load(settings.resolve(settings.bundle.path))
        except BundleError:
            self.bundle = None  # users without a list get an empty one; /readyz reports it
        shelf = CatalogueView(self.bundle.vocabulary if self.bundle else None, settings.lists.catalogue_coverage)
        refused = self.metrics.refused.counts
        self.arrivals: Arrivals | None = None  # new products
        if self.bundle is not None and settings.exploration.enabled:
            self.arrivals = Arrivals(self.bundle, shelf.changed)
        self.views = Views(
            folder,
            lambda: kafka_consumer(options),
            self._on_list,
            shelf,
            refused,
            settings.events.placeholders,
            live_orders(settings, self.bundle),
            self.arrivals.changed if self.arrivals else None,
        )
        self.server = ListServer(self.views, self.bundle)
        self.search = Search(self.views.shelf, self.bundle)
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

    def list_of(self, user_id: str, limit: int) -> ServedList:
        """The list that a reader gets now. With `storefront.impressions = "reads"` it counts as shown."""
        answer = self.server.list_of(user_id, limit)
        if self._impressions is not None:
            self._impressions.shown(answer)
        return answer

    def close(self) -> None:
        """Publishes what waits, and closes the connections."""
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


def create_app(settings: Settings) -> FastAPI:
    """The application; it opens the tables at its start and closes them at its end. Raises `SettingsError` when
    `stack.data_dir` cannot be written."""
    shop = Services(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        shop.live.bind(asyncio.get_running_loop())
        await asyncio.to_thread(shop.views.open)
        if shop.arrivals:
            shop.arrivals.start()
        yield
        if shop.arrivals:
            await asyncio.to_thread(shop.arrivals.close)
        await asyncio.to_thread(shop.views.close)
        await asyncio.to_thread(shop.close)
        await shop.ops.close()
        shop.metrics.close()

    app = FastAPI(
        title="Liveshelf storefront",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # the redirect would name the decoded path
        responses=GUARDED,
    )
    app.add_middleware(Guard, settings=settings.storefront, metrics=shop.metrics)
    app.add_middleware(Measured, metrics=shop.metrics)
    add_refusals(app)
    app.router.route_class = StrictRoute
    _list_routes(app, shop)  # first: routes are tried in order, and a look-up is by far the most frequent
    _item_routes(app, shop)
    _event_route(app, shop)
    _health_routes(app, shop)
    _ops_routes(app, shop)
    app.router.route_class = APIRoute  # a link to a page may carry other parameters, such as utm_source
    add_pages(app)
    add_components(app)
    return app


def _list_routes(app: FastAPI, shop: Services) -> None:
    @app.get("/v1/users/{user_id}/recommendations", responses={200: content(ServedList)})
    async def recommendations(user_id: PathId, limit: int = Query(20, ge=1, le=100)) -> Response:
        """The newest list of a user, without what may not be listed any more; a stranger, or a user whose list has
        expired, gets the popular list."""
        # a look-up is quicker than a hop to a thread and back
        answer = shop.list_of(user_id, limit)
        shop.metrics.served.labels(answer.source if answer.known else "expired" if answer.expired else "stranger").inc()
        return json_answer(answer)

    stream_answers: dict[int | str, dict[str, Any]] = {
        200: {"content": {"text/event-stream": {}}},
        503: content(Refused),
    }

    @app.get("/v1/users/{user_id}/recommendations/stream", response_class=Response, responses=stream_answers)
    async def stream(user_id: PathId, limit: int = Query(20, ge=1, le=100)) -> Response:
        """The list now, after each change, and when it expires, as server-sent events named `list`; 429 or 503 above a limit."""

        def read_list() -> tuple[str, int | None]:
            answer = shop.list_of(user_id, limit)
            return encode(answer).decode(), answer.expires_at

        return ListStream(shop.live, user_id, read_list)


def _item_routes(app: FastAPI, shop: Services) -> None:
    @app.get("/v1/search", responses={200: content(list[CatalogueItem])})
    def search(q: str = Query("", max_length=MAX_QUERY), limit: int = Query(24, ge=1, le=200)) -> Response:
        """Items that may be listed now: those whose title holds all words, then those that the model has learned to belong to them."""
        return json_answer(shop.search.find(q, limit))

    @app.get("/v1/items/{item_id}/similar", responses={200: content(list[ServedItem])})
    def similar(item_id: PathId) -> Response:
        """Items that shoppers take next to this one."""
        return json_answer(shop.similar(item_id))


def _event_route(app: FastAPI, shop: Services) -> None:
    body = {"requestBody": {**content(EventBody), "required": True}}
    limits = shop.settings
    answers: dict[int | str, dict[str, Any]] = {
        202: content(Taken),
        **{code: content(Refused) for code in (413, 415, 503)},
    }

    @app.post("/v1/events", status_code=202, openapi_extra=body, responses=answers)
    async def events(request: Request) -> Response:
        """Publishes one event, an array, or JSON lines, plain or gzip. 202 when all replicas have them, with `warnings` of
        fields that have no effect; else none was published, but for 503 some may have been: send all again. 422 says
        what is wrong with the first bad one."""
        try:
            entries = split_batch(await read_body(request, limits.max_body_bytes), limits.max_batch)
            warnings = await shop.producer.publish(entries)
        except BodyRefused as error:
            shop.metrics.events.labels("refused").inc()
            return refusal(error.status, error.reason, str(error))
        except BadEvent as error:
            shop.metrics.events.labels("refused").inc()
            return refusal(422, error.reason, str(error), index=error.entry.index, line=error.entry.line)
        except BadRecord as error:
            shop.metrics.events.labels("refused").inc()
            return refusal(422, error.reason, str(error))
        except BrokerError as error:
            shop.metrics.events.labels("failed").inc()
            return refusal(503, "broker", str(error), wait_s=1)
        shop.metrics.events.labels("taken").inc(len(entries))
        return json_answer(Taken(len(entries), warnings), 202)


def _health_routes(app: FastAPI, shop: Services) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {"description": "Not ready yet"}})
    def readyz() -> Response:
        """Whether the tables have caught up since the start; until then the last local copies are served."""
        ready = shop.views.complete and shop.bundle is not None
        state = {"ready": ready, "tables": shop.views.complete, "bundle": shop.bundle is not None}
        return json_answer(state, 200 if ready else 503)

    @app.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(shop.metrics.registry), media_type=content_type)


def _ops_routes(app: FastAPI, shop: Services) -> None:
    @app.get("/v1/ops", responses={200: content(Overview)})
    async def overview(minutes: int = Query(15, ge=1, le=1440)) -> Response:
        """The overview that /ops draws: panels, parts and alerts, from Prometheus."""
        return json_answer(await shop.ops.overview(minutes))
