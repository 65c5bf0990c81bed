"""Counts and times requests until their answer begins: a stream may go on for hours after it."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storefront.watching.metrics import StoreMetrics

CLIENT_GONE = 499  # as nginx counts a client that went away before its request had come


class Measured:
    """An ASGI middleware; Starlette's own base for them costs a task and two queues a request."""

    def __init__(self, app: ASGIApp, metrics: StoreMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, answered = time.perf_counter(), False

        async def sending(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                self._count(scope, message["status"], begun)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            if not answered:
                self._count(scope, 500, begun)
            raise
        if not answered:
            self._count(scope, CLIENT_GONE, begun)

    def _count(self, scope: Scope, status: int, begun: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(time.perf_counter() - begun)
