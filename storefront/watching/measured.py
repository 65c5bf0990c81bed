"""Counts requests and measures the time until their answer starts: a stream may then last for hours."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storefront.watching.metrics import StoreMetrics

CLIENT_GONE = 499  # nginx's status for a client that disconnects before its answer


class Measured:
    """An ASGI middleware. Starlette's base class costs a task and two queues a request."""

    def __init__(self, app: ASGIApp, metrics: StoreMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and counts its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s, answered = time.perf_counter(), False

        async def sending(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                self._count(scope, message["status"], started_s)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            if not answered:
                self._count(scope, 500, started_s)
            raise
        if not answered:
            self._count(scope, CLIENT_GONE, started_s)

    def _count(self, scope: Scope, status: int, started_s: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(time.perf_counter() - started_s)
