"""The HTTP interface of the storefront; `/docs` describes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.routing import APIRoute
from prometheus_client.exposition import choose_encoder

from operators.errors import BadRecord, BrokerError, SearchError
from operators.records.contracts import MAX_ID
from operators.search.filters import MAX_TEXT as MAX_FILTERS
from operators.search.filters import read_filters
from operators.search.understanding import MAX_QUERY
from operators.settings import Settings
from storefront.events.event_producer import BadEvent
from storefront.http.answers import Refused, add_refusals, encode, json_answer, refusal
from storefront.http.batches import BodyRefused, read_body, split_batch
from storefront.http.guard import Guard
from storefront.http.live import ListStream
from storefront.http.pages import add_pages
from storefront.http.path_ids import PathId
from storefront.http.strict_route import StrictRoute
from storefront.openapi import EventBody, Taken, add_components, content
from storefront.services import Services
from storefront.view.search import MAX_OFFSET, Page, Sort
from storefront.view.search_answer import SearchAnswer, Suggestions
from storefront.view.served_list import ServedItem, ServedList
from storefront.watching.measured import Measured
from storefront.watching.ops import Overview

# refusals that any route may answer: from the connection, the guard, the limits, or a bad parameter
REFUSALS = (400, 403, 408, 422, 429, 431, 503)
GUARDED: dict[int | str, dict[str, Any]] = {code: content(Refused) for code in REFUSALS}


def create_app(settings: Settings) -> FastAPI:
    """The application; it opens the tables at its start and closes them at its end. Raises `SettingsError` when
    `stack.data_dir` cannot be written."""
    shop = Services(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        shop.live.bind(asyncio.get_running_loop())
        await asyncio.to_thread(shop.open)
        yield
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

    stream_answers: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}

    @app.get("/v1/users/{user_id}/recommendations/stream", response_class=Response, responses=stream_answers)
    async def stream(user_id: PathId, limit: int = Query(20, ge=1, le=100)) -> Response:
        """The list now, after each change, and when it expires, as server-sent events named `list`; 429 or 503 above a limit."""

        def read_list() -> tuple[str, int | None]:
            answer = shop.list_of(user_id, limit)
            return encode(answer).decode(), answer.expires_at

        return ListStream(shop.live, user_id, read_list)


def _item_routes(app: FastAPI, shop: Services) -> None:
    @app.get("/v1/search", responses={200: content(SearchAnswer)})
    def search(
        q: str = Query("", max_length=MAX_QUERY),
        limit: int = Query(24, ge=1, le=200),
        offset: int = Query(0, ge=0, le=MAX_OFFSET),
        sort: Sort = Query("relevance"),
        filters: str = Query("", max_length=MAX_FILTERS),
        diversity: float = Query(0.0, ge=0.0, le=1.0),
        user: str | None = Query(None, min_length=1, max_length=MAX_ID),
    ) -> Response:
        """Items that may be listed now and match the words, also misspelt ones, or that the model has learned to belong to them.
        `matched` says how. An empty query finds all items. docs/search.md has the filters."""
        try:
            answer = shop.search.find(q, read_filters(filters), Page(offset, limit, sort, diversity), user)
        except SearchError as error:
            return refusal(422, "bad_parameter", str(error))
        return json_answer(answer)

    @app.get("/v1/suggest", responses={200: content(Suggestions)})
    def suggest(q: str = Query("", max_length=MAX_QUERY), limit: int = Query(8, ge=1, le=20)) -> Response:
        """How a query that is being typed may go on, and the first items that it names."""
        return json_answer(shop.search.suggest(q, limit))

    @app.get("/v1/items/{item_id}/similar", responses={200: content(list[ServedItem])})
    def similar(item_id: PathId) -> Response:
        """Items that shoppers take next to this one."""
        return json_answer(shop.similar(item_id))


def _event_route(app: FastAPI, shop: Services) -> None:
    body = {"requestBody": {**content(EventBody), "required": True}}
    limits = shop.settings
    answers: dict[int | str, dict[str, Any]] = {
        202: content(Taken),
        **{code: content(Refused) for code in (413, 415)},
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
