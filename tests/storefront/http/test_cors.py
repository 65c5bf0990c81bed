"""Pages of other origins."""

import pytest

from operators.configuration.page_origin import checked_origin
from operators.settings import StorefrontSettings
from storefront.http.cors import SharedOrigins
from tests.bad_records import good_event
from tests.storefront.conftest import RunningShop, Serve
from tests.storefront.http.test_batches import NOW_MS

SHOP, EVIL = "https://www.shop.example", "https://evil.example"
LIST = "/v1/users/u/recommendations"
ALLOWED = "access-control-allow-origin"


@pytest.mark.parametrize(
    "origin", ["*", SHOP, "http://localhost:3000", "http://[::1]:3000", "https://xn--caf-dma.example"]
)
def test_an_origin_is_as_a_browser_sends_it(origin: str) -> None:
    assert checked_origin(origin) == origin


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (f"{SHOP}/", f"'{SHOP}'"),
        (f"{SHOP}:443", f"'{SHOP}'"),
        ("HTTPS://WWW.shop.example", f"'{SHOP}'"),
        ("https://user:secret@www.shop.example", f"'{SHOP}'"),
        ("www.shop.example", "http:// or https://"),
        ("null", "http:// or https://"),
        ("https://café.example", "ASCII"),
        ("https://shop.example:99999", "range"),
        ("ftp://shop.example", "http:// or https://"),
        ("", "http:// or https://"),
    ],
)
def test_what_no_browser_sends_is_refused(origin: str, expected: str) -> None:
    with pytest.raises(ValueError, match="cors_origins") as refused:
        StorefrontSettings(cors_origins=[origin])
    assert expected in str(refused.value)


def test_by_default_no_page_is_told_anything(shop: RunningShop) -> None:
    for method, path in (("GET", LIST), ("OPTIONS", "/v1/events"), ("POST", "/v1/events")):
        answer = shop.client.request(method, path, headers={"origin": SHOP, "access-control-request-method": "POST"})
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_named_origin_reads_and_publishes(serve: Serve) -> None:
    shop = serve(cors_origins=[SHOP])
    headers = {"origin": SHOP, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    answer = shop.client.get(LIST, headers=headers)
    assert (answer.status_code, answer.headers[ALLOWED], answer.headers["vary"]) == (200, SHOP, "origin")
    assert shop.client.post("/v1/events", json=good_event(NOW_MS), headers=headers).status_code == 202
    refused = shop.client.post("/v1/events", json={}, headers=headers)
    assert (refused.status_code, refused.headers[ALLOWED]) == (422, SHOP), "the page can read what is wrong"
    assert len(shop.sent) == 1
    assert ALLOWED not in shop.client.get(LIST).headers, "a program is told nothing"
    assert shop.client.get(LIST, headers=headers | {"origin": EVIL}).status_code == 403
    assert shop.client.get(LIST, headers={"sec-fetch-site": "cross-site"}).status_code == 403, "without an Origin"


def test_a_preflight_is_answered(serve: Serve) -> None:
    shop = serve(cors_origins=[SHOP])
    headers = {
        "origin": SHOP,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    answer = shop.client.options("/v1/events", headers=headers)
    assert (answer.status_code, answer.content, answer.headers[ALLOWED]) == (204, b"", SHOP)
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "content-type" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    assert shop.client.options("/v1/events", headers=headers | {"origin": EVIL}).status_code == 403
    assert shop.client.options("/v1/events").status_code == 405, "no browser asks so"


def test_any_page_may_read_and_none_publishes_by_a_star(serve: Serve) -> None:
    shop = serve(cors_origins=["*"])
    answer = shop.client.get(LIST, headers={"origin": EVIL})
    assert (answer.status_code, answer.headers[ALLOWED]) == (200, EVIL)
    assert "access-control-allow-credentials" not in answer.headers
    headers = {"origin": EVIL, "access-control-request-method": "POST"}
    assert shop.client.options("/v1/events", headers=headers).status_code == 403
    assert shop.client.post("/v1/events", json=good_event(NOW_MS), headers={"origin": EVIL}).status_code == 403
    assert shop.client.post("/v1/events", json=good_event(NOW_MS), headers={"origin": "*"}).status_code == 403
    assert shop.sent == []


@pytest.mark.parametrize(
    "path", ["/", "/ops", "/v1/ops", "/docs", "/openapi.json", "/metrics", "/healthz", "/readyz", "/v1/users/../ops"]
)
def test_what_is_for_operators_is_never_shared(serve: Serve, path: str) -> None:
    shop = serve(cors_origins=[SHOP, "*"])
    status, _ = shop.get(path, f"Origin: {SHOP}")
    assert status == (404 if path.startswith("/v1/users") else 403)


def test_nothing_is_shared_where_no_origin_is_named() -> None:
    assert SharedOrigins([]).headers("GET", LIST, SHOP.encode()) == []
    assert SharedOrigins(["*"]).headers("GET", LIST, None) == []
    assert SharedOrigins(["*", SHOP]).headers("POST", "/v1/events", SHOP.encode())
    assert not SharedOrigins(["*", SHOP]).headers("POST", "/v1/events", EVIL.encode())
