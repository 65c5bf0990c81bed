"""An HTTP/1.1 connection with the limits that uvicorn's does not have: of a request's head and of the time that a
request may take to come. Without them a few hundred silent clients hold every connection for ever (slowloris)."""

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
    """Counts the bytes of a request beside its body (head, sizes of chunks, trailers: the parser would hold them all)
    and the time until it is there; the kernel counts for how long a client takes nothing of an answer."""

    def __init__(self, *args: Any, limits: StorefrontSettings, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._incomplete = self._in_head = self._just_begun = False
        self._body_bytes = self._other_bytes = self._read_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn's; one too many is told so."""
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
        """As uvicorn's; the time runs while a request is not there as a whole."""
        body_before, self._read_bytes = self._body_bytes, len(data)
        super().data_received(data)
        if not self._incomplete or self.transport.is_closing():
            return
        self._expect()
        if self._just_begun:  # what came before it in these bytes is not known; they are one read of the socket
            self._just_begun = False
            return
        self._other_bytes += len(data) - (self._body_bytes - body_before)
        if self._other_bytes > self._limits.max_head_bytes + self._body_bytes:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """As uvicorn's."""
        self._incomplete = self._in_head = self._just_begun = True
        self._body_bytes = self._other_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """As uvicorn's; a head may have come in one read, which is counted only where it can be too large."""
        if self._read_bytes > self._limits.max_head_bytes:
            whole = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if whole > self._limits.max_head_bytes:
                self._refuse_head()
                raise httptools.HttpParserError("the head is too large")
        self._in_head = False
        super().on_headers_complete()
        self.headers = []  # for trailers, which nothing reads; those of the head are the request's

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
        """For what is not HTTP."""
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
        self._refuse(408, "too_slow", text)  # a route that waits for the rest of a body hears that its client is gone

    def _refuse_head(self) -> None:
        most = self._limits.max_head_bytes
        text = f"expected at most {most} bytes beside a body; came more. Next: send fewer headers."
        self._refuse(431, "head_too_large", text)

    def _refuse(self, status: int, reason: str, error: str) -> None:
        """Says why, where no answer has begun that this would run into, and closes."""
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
    """What uvicorn takes as `http`."""
    return cast(type[asyncio.Protocol], partial(Connection, limits=limits))
