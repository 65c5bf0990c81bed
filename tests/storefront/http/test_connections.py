"""Clients that are slow, silent, endless or many."""

import socket
import time
from collections.abc import Callable

import pytest

from tests.storefront.conftest import RunningShop, Serve, read_all

HEAD = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\n"


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def drip(endpoint: socket.socket, piece: bytes, seconds: float = 15) -> float:
    """Sends a piece each 50 ms until the other side has closed; returns how long it took."""
    started_s = time.monotonic()
    endpoint.settimeout(0.05)
    while time.monotonic() - started_s < seconds:
        try:
            endpoint.sendall(piece)
            if not endpoint.recv(65_536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - started_s


@pytest.mark.parametrize("head", [b"", b"G", HEAD, HEAD + b"x-more: "])
def test_a_head_must_come_in_time(serve: Serve, head: bytes) -> None:
    shop = serve(request_timeout_s=0.5)
    with shop.connect() as endpoint:
        endpoint.sendall(head)
        started_s = time.monotonic()
        answer = read_all(endpoint)
        assert 0.3 < time.monotonic() - started_s < 10
    assert answer.startswith(b"HTTP/1.1 408 ") and b"too_slow" in answer
    with shop.connect() as endpoint:
        endpoint.sendall(head)
        assert drip(endpoint, b"x") < 10, "a byte now and then does not keep it open"
    assert shop.get("/healthz")[0] == 200


@pytest.mark.parametrize("length", [b"content-length: 1000\r\n", b"transfer-encoding: chunked\r\n"])
def test_a_body_must_come_in_time(serve: Serve, length: bytes) -> None:
    shop = serve(request_timeout_s=0.5)
    with shop.connect() as endpoint:
        endpoint.sendall(POST + length + b"\r\n")
        started_s = time.monotonic()
        assert read_all(endpoint).startswith(b"HTTP/1.1 408 ")
        assert 0.3 < time.monotonic() - started_s < 10
    until(lambda: shop.metric("requests_total", route="/v1/events", status="499") == 1)
    assert "liveshelf_storefront_exceptions_total{" not in shop.client.get("/metrics").text, "no error of ours"


def test_a_connection_that_is_used_stays_open(serve: Serve) -> None:
    shop = serve(request_timeout_s=0.3, idle_timeout_s=5)
    with shop.connect() as endpoint:
        for _ in range(4):
            endpoint.sendall(HEAD + b"\r\n")
            assert endpoint.recv(65_536).startswith(b"HTTP/1.1 200")
            time.sleep(0.4)


def test_one_request_after_the_other_without_a_pause_is_not_slow(serve: Serve) -> None:
    shop = serve(request_timeout_s=0.5)
    request = HEAD + b"\r\n"
    middle = len(request) // 2
    with shop.connect() as endpoint:
        endpoint.sendall(request[:middle])
        started_s, answers = time.monotonic(), 0
        while time.monotonic() - started_s < 2:  # there is always one that has begun
            endpoint.sendall(request[middle:] + request[:middle])
            assert endpoint.recv(65_536).startswith(b"HTTP/1.1 200")
            answers += 1
    assert answers > 5


def test_no_refusal_runs_into_an_answer_that_has_begun(serve: Serve) -> None:
    shop = serve(request_timeout_s=0.5, max_body_bytes=10)
    with shop.connect() as endpoint:
        endpoint.sendall(POST + b"transfer-encoding: chunked\r\n\r\n14\r\n" + b"x" * 20 + b"\r\n")
        answer = read_all(endpoint)
    assert answer.startswith(b"HTTP/1.1 413 ") and answer.count(b"HTTP/1.1 ") == 1
    stream = b"GET /v1/users/u/recommendations/stream HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with shop.connect() as endpoint:
        endpoint.sendall(stream + b"GET /half")
        assert read_all(endpoint).count(b"HTTP/1.1 ") == 1


def test_an_idle_connection_is_closed(serve: Serve) -> None:
    shop = serve(request_timeout_s=5, idle_timeout_s=1)
    with shop.connect() as endpoint:
        endpoint.sendall(HEAD + b"\r\n")
        started_s = time.monotonic()
        assert read_all(endpoint).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - started_s < 8


def endless(shop: RunningShop, head: bytes, piece: bytes, limit: int = 50_000_000) -> tuple[int, bytes]:
    """Sends for as long as the shop takes it; returns the bytes sent and the answer."""
    with shop.connect() as endpoint:
        endpoint.sendall(head)
        sent_bytes = 0
        try:
            while sent_bytes < limit:
                endpoint.sendall(piece)
                sent_bytes += len(piece)
        except OSError:
            pass
        return sent_bytes, read_all(endpoint)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"GET /", b"x" * 10_000),
        (HEAD + b"x: ", b"x" * 10_000),
        (HEAD, b"x: y\r\n" * 2000),
        (POST + b"transfer-encoding: chunked\r\n\r\n1", b";x" * 5000),
        (POST + b"transfer-encoding: chunked\r\n\r\n0\r\nx: ", b"x" * 10_000),
        (POST + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n" * 2000),
    ],
    ids=["path", "header", "headers", "chunk extension", "trailer", "trailers"],
)
def test_nothing_beside_a_body_is_endless(serve: Serve, head: bytes, piece: bytes) -> None:
    shop = serve()
    sent_bytes, _ = endless(shop, head, piece)
    assert sent_bytes < 20_000_000, "what the kernels hold between us, not all"
    until(lambda: shop.connections <= 1)
    assert shop.get("/healthz")[0] == 200


def test_a_head_that_comes_at_once_is_limited_too(serve: Serve) -> None:
    shop = serve(max_head_bytes=2000)
    assert b" 431 " in shop.raw(HEAD + b"x: " + b"x" * 3000 + b"\r\n\r\n")[:20]
    assert b" 200 " in shop.raw(HEAD + b"connection: close\r\nx: " + b"x" * 1000 + b"\r\n\r\n")[:20]


def test_what_a_connection_refuses_is_described_at_each_route(serve: Serve) -> None:
    shop = serve()
    document = shop.client.get("/openapi.json").json()
    words = "%F4%88%A0%94" * 2000  # the 2,000 characters that `filters` may have
    answer = shop.raw(f"GET /v1/search?filters={words} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    assert b" 431 " in answer[:20]
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert {"408", "431", "503"} <= route["responses"].keys(), f"{method} {path}"


def test_an_endless_body_is_answered_and_not_read_for_long(serve: Serve) -> None:
    shop = serve(request_timeout_s=1, max_body_bytes=10_000)
    chunk = b"2000\r\n" + b"x" * 8192 + b"\r\n"
    with shop.connect() as endpoint:
        endpoint.sendall(POST + b"transfer-encoding: chunked\r\n\r\n" + chunk * 2)
        assert b" 413 " in endpoint.recv(65_536)[:20], "while the body still comes"
        assert drip(endpoint, chunk) < 10


def test_a_length_that_lies_hurts_nobody(serve: Serve) -> None:
    shop = serve(request_timeout_s=0.5)
    assert shop.raw(POST + b"content-length: 9999999999999999999999\r\n\r\n")[:12] == b"HTTP/1.1 400"
    assert shop.raw(POST + b"content-length: 99999999999999\r\n\r\n")[:12] == b"HTTP/1.1 413"
    answers = shop.raw(POST + b"content-length: 5\r\n\r\n" + b"hello" + b"there\r\n\r\n")
    assert answers.count(b"HTTP/1.1 ") <= 1 and b"HTTP/1.1 5" not in answers
    assert shop.get("/healthz")[0] == 200


def test_one_connection_too_many_is_told_so(serve: Serve) -> None:
    shop = serve(max_connections=5)
    open_connections = [shop.connect() for _ in range(5)]
    until(lambda: shop.connections == 5)
    assert b"too_many_connections" in shop.raw(b"")
    for endpoint in open_connections:
        endpoint.close()
    until(lambda: shop.connections == 0)
    assert shop.get("/healthz")[0] == 200


def test_a_client_that_takes_nothing_of_its_answer_is_cut(serve: Serve) -> None:
    shop = serve(send_timeout_s=1)
    with socket.socket() as endpoint:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        endpoint.connect(("127.0.0.1", shop.port))
        endpoint.sendall(b"GET /page/swagger-ui-bundle.js HTTP/1.1\r\nhost: localhost\r\n\r\n" * 4)
        until(lambda: shop.connections == 1)
        until(lambda: shop.connections == 0, 30)
