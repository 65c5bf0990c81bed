"""The HTTP interface of the reader; `/docs` describes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import FileResponse
from prometheus_client.exposition import choose_encoder
from sse_starlette import EventSourceResponse

from operators.compacted_table import kafka_consumer
from operators.contracts import CatalogueItem, Event, ListItem, Reason, RecommendationList
from operators.errors import BadRecord, BrokerError, BundleError
from operators.model_bundle import ModelBundle
from operators.settings import Settings
from operators.tracing import Tracer
from storefront.event_producer import EventProducer, split_batch
from storefront.live import Expiry, LiveLists
from storefront.measured import Measured
from storefront.metrics import StoreMetrics
from storefront.openapi import Refused, Taken, add_components, content
from storefront.ops import Ops, Overview
from storefront.search import Search
from storefront.served_list import ServedItem, ServedList, Server, served
from storefront.views import Shelf, Views

PAGE = Path(__file__).resolve().parent / "page"
TABLES = "storefront"
SIMILAR = 20


class Shop:
    """All that the routes use."""

    def __init__(self, settings: Settings) -> None:
        endpoint = settings.tracing.otlp_endpoint
        self.metrics = StoreMetrics(Tracer(settings.tracing, "liveshelf-storefront") if endpoint else None)
        self.live = LiveLists()
        options = settings.kafka.consumer_options() | {"fetch_max_wait_ms": 500}
        folder = settings.resolve(settings.stack.data_dir) / "tables" / TABLES
        try:
            self.bundle: ModelBundle | None = ModelBundle.load(settings.resolve(settings.bundle.path))
        except BundleError:
            self.bundle = None  # strangers get an empty list; /readyz says so
        shelf = Shelf(self.bundle and self.bundle.vocabulary, settings.lists.catalogue_coverage)
        refused = self.metrics.refused.counts
        self.views = Views(folder, lambda: kafka_consumer(options), self._listed, shelf, refused)
        self.server = Server(self.views, self.bundle)
        self.search = Search(self.views.shelf, self.bundle)
        self.producer = EventProducer(settings)
        self.ops = Ops(settings.storefront.prometheus_url)
        self.metrics.catalogue_age.set_function(lambda: self.views.ages()["catalogue"])
        self.metrics.lists_age.set_function(lambda: self.views.ages()["lists"])
        self.metrics.streams.set_function(lambda: self.live.streams)

    def _listed(self, user_id: str, made: RecommendationList | None) -> None:
        self.metrics.listed(made)
        self.live.changed(user_id)

    def similar(self, item_id: str) -> list[ServedItem]:
        """The neighbours of an item that may be listed now."""
        if self.bundle is None or not (row := self.bundle.vocabulary.row(item_id)):
            return []
        ids = [self.bundle.vocabulary.item_ids[r - 1] for r in self.bundle.neighbours[row].tolist() if r]
        near = [item for item in ids if self.views.shelf.sold(item)][:SIMILAR]
        reason = Reason("viewed", item_id)
        return [served(ListItem(i, 0.0, n, reason), n, self.views.shelf) for n, i in enumerate(near, start=1)]


def create_app(settings: Settings) -> FastAPI:
    """The application; tables open when it starts and close when it ends."""
    shop = Shop(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        shop.live.bind(asyncio.get_running_loop())
        await asyncio.to_thread(shop.views.open)
        yield
        await asyncio.to_thread(shop.views.close)
        shop.producer.close()
        await shop.ops.close()
        shop.metrics.close()

    app = FastAPI(title="Liveshelf storefront", version="1", lifespan=lifespan)
    app.add_middleware(Measured, metrics=shop.metrics)
    _list_routes(app, shop)
    _item_routes(app, shop)
    _event_route(app, shop)
    _health_routes(app, shop)
    _ops_routes(app, shop)
    add_components(app)
    return app


def _list_routes(app: FastAPI, shop: Shop) -> None:
    @app.get("/v1/users/{user_id}/recommendations", responses={200: content(ServedList)})
    async def recommendations(user_id: str, limit: int = Query(20, ge=1, le=100)) -> Response:
        """The newest list of a user, without what may not be listed any more; a stranger, or a user whose list has
        expired, gets the popular list."""
        # a look-up takes less than the way to a thread and back
        answer = shop.server.list_of(user_id, limit)
        shop.metrics.served.labels(answer.source if answer.known else "expired" if answer.expired else "stranger").inc()
        return _json(answer)

    @app.get("/v1/users/{user_id}/recommendations/stream")
    async def stream(user_id: str, limit: int = Query(20, ge=1, le=100)) -> EventSourceResponse:
        """The list now, after each change, and when it expires, as server-sent events named `list`."""

        async def lists() -> AsyncIterator[dict[str, str]]:
            expiry = Expiry()
            async for _ in shop.live.changes(user_id, expiry):
                answer = shop.server.list_of(user_id, limit)
                expiry.at_ms = answer.expires_at
                yield {"event": "list", "data": _encode(answer).decode()}

        return EventSourceResponse(lists(), ping=15)


def _item_routes(app: FastAPI, shop: Shop) -> None:
    @app.get("/v1/search", responses={200: content(list[CatalogueItem])})
    def search(q: str = "", limit: int = Query(24, ge=1, le=200)) -> Response:
        """Items that may be listed now: those whose title holds all words, then those that the model has learned to belong to them."""
        return _json(shop.search.find(q, limit))

    @app.get("/v1/items/{item_id}/similar", responses={200: content(list[ServedItem])})
    def similar(item_id: str) -> Response:
        """Items that shoppers take next to this one."""
        return _json(shop.similar(item_id))

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    @app.get("/page/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        file = PAGE / name
        return FileResponse(file) if file.parent == PAGE and file.is_file() else Response(status_code=404)


def _event_route(app: FastAPI, shop: Shop) -> None:
    body = {"requestBody": {**content(Event), "required": True}}
    answers = {202: content(Taken), 422: content(Refused), 503: content(Refused)}

    @app.post("/v1/events", status_code=202, openapi_extra=body, responses=answers)
    async def events(request: Request) -> Response:
        """Publishes one event, an array, or JSON lines. 202 when all replicas have them; 422 says what is wrong."""
        try:
            taken = await shop.producer.publish(split_batch(await request.body()))
        except (BadRecord, msgspec.MsgspecError) as error:
            shop.metrics.events.labels("refused").inc()
            reason = error.reason if isinstance(error, BadRecord) else "not_json"
            return _json({"reason": reason, "error": str(error)}, 422)
        except BrokerError as error:
            shop.metrics.events.labels("failed").inc()
            return _json({"reason": "broker", "error": str(error)}, 503)
        shop.metrics.events.labels("taken").inc(taken)
        return _json({"taken": taken}, 202)


def _health_routes(app: FastAPI, shop: Shop) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {"description": "Not ready yet"}})
    def readyz() -> Response:
        """Whether the tables have caught up since the start; until then the last local copies are served."""
        ready = shop.views.complete and shop.bundle is not None
        state = {"ready": ready, "tables": shop.views.complete, "bundle": shop.bundle is not None}
        return _json(state, 200 if ready else 503)

    @app.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(shop.metrics.registry), media_type=content_type)


def _ops_routes(app: FastAPI, shop: Shop) -> None:
    @app.get("/ops", include_in_schema=False)
    def ops() -> FileResponse:
        return FileResponse(PAGE / "ops.html")

    @app.get("/v1/ops", responses={200: content(Overview)})
    async def overview(minutes: int = Query(15, ge=1, le=1440)) -> Response:
        """The overview that /ops draws: panels, parts and alerts, from Prometheus."""
        return _json(await shop.ops.overview(minutes))


_encode = msgspec.json.Encoder().encode


def _json(answer: Any, status: int = 200) -> Response:
    return Response(_encode(answer), status, media_type="application/json")
