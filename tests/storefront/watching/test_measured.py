"""What is counted of a request, and when."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from storefront.watching.measured import Measured
from storefront.watching.metrics import StoreMetrics


def app_and_metrics() -> tuple[FastAPI, StoreMetrics]:
    metrics, app = StoreMetrics(), FastAPI()
    app.add_middleware(Measured, metrics=metrics)

    @app.get("/items/{item}")
    async def item(item: str) -> str:
        return item

    @app.get("/broken")
    async def broken() -> str:
        raise RuntimeError("broken")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def slowly() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.sleep(0.3)
            yield b"last"

        return StreamingResponse(slowly())

    return app, metrics


def metrics_after(path: str) -> StoreMetrics:
    app, metrics = app_and_metrics()

    async def ask() -> None:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            await client.get(path)

    asyncio.run(ask())
    return metrics


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [("/items/7", "/items/{item}", "200"), ("/nowhere", "other", "404"), ("/broken", "/broken", "500")],
)
def test_each_request_is_counted_by_its_route_whatever_becomes_of_it(path: str, route: str, status: str) -> None:
    registry = metrics_after(path).registry
    assert registry.get_sample_value("liveshelf_storefront_requests_total", {"route": route, "status": status}) == 1
    assert registry.get_sample_value("liveshelf_storefront_request_seconds_count", {"route": route}) == 1


def test_a_stream_is_timed_until_it_begins() -> None:
    seconds = metrics_after("/stream").registry.get_sample_value(
        "liveshelf_storefront_request_seconds_sum", {"route": "/stream"}
    )
    assert seconds is not None and seconds < 0.25
