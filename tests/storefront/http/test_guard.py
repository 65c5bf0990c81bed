"""Who may ask, and what every answer says to a browser."""

import json
from typing import Any

import pytest

from operators.settings import StorefrontSettings
from storefront.http.guard import HEADERS, Hosts, client_of, is_foreign
from storefront.view.served_list import ListServer
from tests.storefront.conftest import RunningShop, Serve

EVENT = b'{"event_id":"e"}'


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        (b"127.0.0.1:8000", True),
        (b"localhost", True),
        (b"LOCALHOST:80", True),
        (b"[::1]:8000", True),
        (b"[::1]", True),
        (b"192.168.1.5:8000", True),
        (b"shop.example", True),
        (b"www.eu.example:443", True),
        (b"eu.example", False),
        (b"evil.example", False),
        (b"shop.example.evil.example", False),
        (b"evilshop.example", False),
        (b"localhost:evil", False),
        (b"127.0.0.1.evil.example", False),
        (b"\xff", False),
        (b"", False),
        (None, False),
    ],
)
def test_a_host_is_an_address_or_a_name_of_ours(host: bytes | None, allowed: bool) -> None:
    hosts = Hosts(["0.0.0.0", "Shop.example", "*.eu.example"])
    assert hosts.allow(host) is allowed
    assert hosts.allow(host) is allowed, "asked again"


@pytest.mark.parametrize("name", ["http://shop.example", "shop.example:8000", "a.*.example", "", "*"])
def test_a_name_in_the_settings_is_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="hosts"):
        StorefrontSettings(hosts=[name])


HOST = {b"host": b"127.0.0.1:8000"}
SITE, MODE, ORIGIN = b"sec-fetch-site", b"sec-fetch-mode", b"origin"


@pytest.mark.parametrize(
    ("method", "headers", "foreign"),
    [
        ("POST", {}, False),
        ("POST", {SITE: b"same-origin"}, False),
        ("GET", {SITE: b"none", MODE: b"navigate"}, False),
        ("GET", {SITE: b"cross-site", MODE: b"navigate"}, False),
        ("POST", {SITE: b"cross-site", MODE: b"navigate"}, True),
        ("POST", {SITE: b"cross-site", MODE: b"no-cors"}, True),
        ("POST", {SITE: b"same-site", MODE: b"cors"}, True),
        ("GET", {SITE: b"cross-site", MODE: b"cors"}, True),
        ("POST", {ORIGIN: b"http://127.0.0.1:8000"}, False),
        ("POST", {ORIGIN: b"http://127.0.0.1:3000"}, True),
        ("POST", {ORIGIN: b"https://evil.example"}, True),
        ("POST", {ORIGIN: b"null"}, True),
        ("POST", {ORIGIN: b"https://shop.example", SITE: b"same-origin"}, False),
    ],
)
def test_a_page_of_another_origin_asks_for_nothing(method: str, headers: dict[bytes, bytes], foreign: bool) -> None:
    assert is_foreign(method, HOST | headers) is foreign


def test_a_cross_site_post_publishes_nothing(shop: RunningShop) -> None:
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}):
        answer = shop.client.post("/v1/events", content=EVENT, headers={"content-type": "text/plain", **headers})
        assert (answer.status_code, answer.json()["reason"]) == (403, "cross_site")
        assert "access-control-allow-origin" not in answer.headers
    headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    assert shop.client.options("/v1/events", headers=headers).status_code == 403
    assert shop.sent == []


def test_a_foreign_name_for_this_machine_is_refused(serve: Serve) -> None:
    shop = serve(hosts=["shop.example"])
    assert shop.client.get("/", headers={"host": "shop.example"}).status_code == 200
    answer = shop.client.post("/v1/events", content=EVENT, headers={"host": "rebound.example:8000"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_host")
    assert b"bad_host" in shop.raw(b"GET / HTTP/1.0\r\n\r\n")


def headers_of(answer: bytes) -> dict[bytes, bytes]:
    head = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    pairs = [tuple(line.split(b": ", 1)) for line in head]
    assert len(dict(pairs)) == len(pairs), "none comes twice"
    return dict(pairs)  # type: ignore[arg-type]


def test_every_answer_has_the_headers(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = serve(max_streams=0, max_head_bytes=2000)

    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(ListServer, "list_of", fail)
    answers = {
        "GET / HTTP/1.1\r\nhost: localhost": 200,
        "GET /docs HTTP/1.1\r\nhost: localhost": 200,
        "GET /page/shop.js HTTP/1.1\r\nhost: localhost": 200,
        "GET /openapi.json HTTP/1.1\r\nhost: localhost": 200,
        "GET /metrics HTTP/1.1\r\nhost: localhost": 200,
        "GET /nowhere HTTP/1.1\r\nhost: localhost": 404,
        "DELETE /v1/events HTTP/1.1\r\nhost: localhost": 405,
        "GET /v1/search?limit=x HTTP/1.1\r\nhost: localhost": 422,
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0": 422,
        "GET / HTTP/1.1\r\nhost: evil": 400,
        "GET / HTTP/1.1\r\nhost: localhost\r\norigin: http://evil": 403,
        "GET /v1/users/u/recommendations HTTP/1.1\r\nhost: localhost": 500,
        "GET /v1/users/u/recommendations/stream HTTP/1.1\r\nhost: localhost": 503,
        "what is this": 400,
        f"GET / HTTP/1.1\r\nhost: localhost\r\nx: {'x' * 3000}": 431,
    }
    for request, status in answers.items():
        answer = shop.raw(f"{request}\r\nconnection: close\r\n\r\n".encode())
        assert int(answer.split()[1]) == status, request
        headers = headers_of(answer)
        assert {name: headers.get(name) for name, _ in HEADERS} == dict(HEADERS), request
        assert b"server" not in headers
    assert shop.metric("exceptions_total", type="RuntimeError") == 1
    assert shop.metric("requests_total", route="/v1/users/{user_id}/recommendations", status="500") == 1


def test_nothing_inline_and_nothing_from_elsewhere_is_allowed() -> None:
    policy = dict(HEADERS)[b"content-security-policy"].decode()
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["script-src"] == parts["style-src"] == parts["connect-src"] == "'self'"
    assert parts["frame-ancestors"] == parts["base-uri"] == "'none'"
    assert "unsafe" not in policy and "http" not in policy


@pytest.mark.parametrize(
    ("client", "key"),
    [
        (("203.0.113.7", 1), "203.0.113.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::ffff", 1), "2001:db8:1:2::/64"),
        (("::ffff:203.0.113.7", 1), "203.0.113.7"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("not:an:address", 1), "not:an:address"),
        (None, "local"),
    ],
)
def test_a_client_is_an_address_or_its_network(client: Any, key: str) -> None:
    assert client_of({"client": client}) == key


def test_a_client_that_asks_too_often_is_told_when_to_come_back(serve: Serve) -> None:
    shop = serve(requests_per_s=0.05, trusted_proxies=["127.0.0.1"])  # one, and the next after 20 s

    def statuses_of(count: int, address: str, path: str = "/v1/items/i/similar") -> list[int]:
        headers = {"x-forwarded-for": address}
        return [shop.client.get(path, headers=headers).status_code for _ in range(count)]

    assert statuses_of(3, "203.0.113.1") == [200, 429, 429]
    assert statuses_of(1, "203.0.113.2") == [200], "another client is not held back"
    assert statuses_of(20, "203.0.113.1", "/healthz") == [200] * 20, "what watches is not counted"
    answer = shop.client.get("/", headers={"x-forwarded-for": "203.0.113.1"})
    assert (answer.status_code, answer.json()["reason"]) == (429, "too_many_requests")
    assert 1 <= int(answer.headers["retry-after"]) <= 20


def test_a_proxys_word_does_not_count_unless_it_is_trusted(serve: Serve) -> None:
    shop = serve(requests_per_s=0.05)
    codes = [shop.client.get("/", headers={"x-forwarded-for": f"203.0.113.{n}"}).status_code for n in range(3)]
    assert codes == [200, 429, 429]


def test_without_the_setting_there_is_no_rate(shop: RunningShop) -> None:
    assert {shop.client.get("/v1/items/i/similar").status_code for _ in range(300)} == {200}
    assert json.loads(shop.get("/healthz")[1]) == {"status": "ok"}
