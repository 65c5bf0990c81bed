"""Query parameters: each has its effect, or is refused."""

import pytest

from tests.storefront.conftest import RunningShop

ROUTES = {
    "/v1/users/u/recommendations": "limit",
    "/v1/search": "q, limit, offset, sort, filters, diversity, user",
    "/v1/suggest": "q, limit",
    "/v1/items/i/similar": "",
    "/v1/ops": "minutes",
    "/healthz": "",
    "/readyz": "",
    "/metrics": "",
}


@pytest.mark.parametrize("path", [*ROUTES, "/v1/users/u/recommendations/stream"])
def test_a_parameter_that_a_route_does_not_have_is_refused(shop: RunningShop, path: str) -> None:
    answer = shop.client.get(f"{path}?colour=red")
    assert (answer.status_code, answer.json()["reason"]) == (422, "unknown_parameter")
    allowed = ROUTES.get(path, "limit")
    assert (f"the query parameters {allowed};" if allowed else "no query parameters") in answer.json()["error"]


def test_every_route_of_the_description_refuses_it(shop: RunningShop) -> None:
    paths = shop.client.get("/openapi.json").json()["paths"]
    assert len(paths) >= 8
    for path, methods in paths.items():
        for method in methods:
            answer = shop.client.request(method, path.replace("{", "").replace("}", ""), params={"x": ""})
            assert (answer.status_code, answer.json()["reason"]) == (422, "unknown_parameter"), path


@pytest.mark.parametrize(
    ("query", "meant"),
    [("limt=5", "limit"), ("LIMIT=5", "limit"), ("limit%20=5", "limit"), ("limit=5&lim_it=6", "limit")],
)
def test_the_parameter_that_was_probably_meant_is_named(shop: RunningShop, query: str, meant: str) -> None:
    answer = shop.client.get(f"/v1/users/u/recommendations?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"].endswith(f"Next: is {meant} meant?")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=-5", "limit=", "limit=x", "limit=1e3", "limit=5&limit=6"]
)
def test_a_parameter_out_of_range_or_given_twice_is_refused(shop: RunningShop, query: str) -> None:
    answer = shop.client.get(f"/v1/users/u/recommendations?{query}")
    assert (answer.status_code, answer.json()["reason"]) == (422, "bad_parameter")


def test_a_page_ignores_what_a_link_adds(shop: RunningShop) -> None:
    assert shop.client.get("/?utm_source=mail").status_code == 200
    assert shop.client.get("/page/shop.js?v=3").status_code == 200


def test_a_parameter_of_any_text_is_shown_and_not_obeyed(shop: RunningShop) -> None:
    answer = shop.client.get(f"/v1/search?{'x' * 9000}%1b%5b2J=1")
    assert answer.status_code == 422
    assert len(answer.json()["error"]) < 500 and "\x1b" not in answer.json()["error"]
