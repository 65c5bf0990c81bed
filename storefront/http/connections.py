"""An HTTP/1.1 connection with two limits that uvicorn lacks: the size of a request's head, and the time until a request
is complete. Without them a few hundred silent clients hold every connection for ever (slowloris)."""

import asyncio
import json
import socket
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from operators.settings import StorefrontSettings
from storefront.http.guard import HEADERS


class Connection(HttpToolsProtocol):
    """Limits a request's bytes outside its body (head, chunk sizes, trailers: the parser holds them all in memory) and
    the time until the request is complete. The kernel's TCP_USER_TIMEOUT drops a client that stops reading."""

    def __init__(self, *args: Any, limits: StorefrontSettings, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._incomplete = self._in_head = self._just_started = False
        self._body_bytes = self._other_bytes = self._read_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn's; answers 503 above `max_connections`."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            self._refuse(503, "too_many_connections", "expected fewer connections; came one more. Next: try again.")
            return
        endpoint = cast(socket.socket, transport.get_extra_info("socket"))
        endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._limits.send_timeout_s * 1000))
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's."""
        self._expect_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As uvicorn's; the deadline runs while a request is incomplete."""
        body_before, self._read_bytes = self._body_bytes, len(data)
        super().data_received(data)
        if not self._incomplete or self.transport.is_closing():
            return
        self._expect()
        if self._just_started:  # these bytes may also hold the end of the previous request: one read is not counted
            self._just_started = False
            return
        self._other_bytes += len(data) - (self._body_bytes - body_before)
        if self._other_bytes > self._limits.max_head_bytes + self._body_bytes:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """As uvicorn's."""
        self._incomplete = self._in_head = self._just_started = True
        self._body_bytes = self._other_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """As uvicorn's; checks the size of a head that arrived in one read."""
        if self._read_bytes > self._limits.max_head_bytes:
            head_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if head_bytes > self._limits.max_head_bytes:
                self._refuse_head()
                raise httptools.HttpParserError("the head is too large")
        self._in_head = False
        super().on_headers_complete()
        self.headers = []  # collects trailers, which nothing reads; the request has its own list of headers

    def on_body(self, body: bytes) -> None:
        """As uvicorn's."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """As uvicorn's."""
        self._incomplete = False
        if self._deadline is not None:
            self._expect_no_more()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answers bytes that are not HTTP."""
        if not self.transport.is_closing():
            self._refuse(400, "not_http", f"expected HTTP/1.1; came: {msg} Next: correct the client.")

    def _expect(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._limits.request_timeout_s, self._too_slow)

    def _expect_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        seconds = self._limits.request_timeout_s
        text = f"expected a whole request within {seconds:g} s; came less. Next: send it at once."
        self._refuse(408, "too_slow", text)  # a route that still reads the body gets `ClientDisconnect`

    def _refuse_head(self) -> None:
        limit = self._limits.max_head_bytes
        text = f"expected at most {limit} bytes beside a body; came more. Next: send fewer headers."
        self._refuse(431, "head_too_large", text)

    def _refuse(self, status: int, reason: str, error: str) -> None:
        """Answers with the reason unless another answer has started, and closes the connection."""
        cycle = self.cycle
        in_body = self._incomplete and not self._in_head
        if cycle is not None and (cycle.response_started if in_body else not cycle.response_complete):
            self.transport.close()
            return
        body = json.dumps({"reason": reason, "error": error}).encode()
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(), b"content-type: application/json"]
        lines += [name + b": " + value for name, value in HEADERS]
        lines += [b"content-length: %d" % len(body), b"connection: close", b"", body]
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()


def connections(limits: StorefrontSettings) -> type[asyncio.Protocol]:
    """The protocol class for uvicorn's option `http`."""
    return cast(type[asyncio.Protocol], partial(Connection, limits=limits))
