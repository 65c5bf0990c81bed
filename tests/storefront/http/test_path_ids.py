"""Ids in a path: whatever an event may have as an id can be asked for, and nothing else."""

import json
import time
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from operators.configuration.shop_settings import PLACEHOLDER_IDS, EventSettings
from operators.errors import BadRecord
from operators.records.contracts import MAX_ID
from operators.records.event_decode import EventDecoder
from storefront.http.path_ids import path_id
from tests.bad_records import good_event
from tests.builders import NOW_MS
from tests.storefront.conftest import RunningShop

IDS = [
    "a/b",
    "15056BL/A",
    "/",
    "//",
    "x/recommendations/stream",
    "../../etc/passwd",
    "..",
    ".",
    "a?b",
    "a#b",
    "100%",
    "%2F",
    "a b ",
    "a+b",
    "ÄÖ Ü 🛒",
    "Café",
    "[/red]",
    '"<script>',
    "x" * MAX_ID,
]


def test_an_id_of_any_characters_reaches_its_route(shop: RunningShop) -> None:
    for name in IDS:
        encoded = quote(name, safe="")
        status, body = shop.get(f"/v1/users/{encoded}/recommendations")
        assert (status, json.loads(body)["user_id"]) == (200, name)
        status, body = shop.get(f"/v1/items/{encoded}/similar")
        assert (status, json.loads(body)) == (200, [])
        assert json.loads(shop.first_list(f"/v1/users/{encoded}/recommendations/stream"))["user_id"] == name


def test_an_item_with_a_slash_has_similar_ones(shop: RunningShop) -> None:
    neighbours = shop.client.get("/v1/items/15056BL/similar").json()
    assert neighbours, "the demo's bundle has it"
    assert {(item["reason"]["kind"], item["reason"]["item_id"]) for item in neighbours} == {("similar", "15056BL")}


def test_what_no_event_can_have_as_an_id_is_refused(shop: RunningShop) -> None:
    for encoded in ("%00", "a%0Ab", "%7F", "%C2%9B", "%EF%BB%BFa", "%EF%BF%BEa", "%FF", "x" * 129):
        for path in ("users/{}/recommendations", "users/{}/recommendations/stream", "items/{}/similar"):
            status, body = shop.get(f"/v1/{path.format(encoded)}")
            assert (status, json.loads(body)["reason"]) == (422, "bad_id")


def test_without_an_id_there_is_no_route(shop: RunningShop) -> None:
    assert shop.get("/v1/users//recommendations")[0] == 404
    assert shop.get("/v1/users/a/b/recommendations")[0] == 404


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=MAX_ID + 2))
def test_an_id_in_a_path_is_an_id_of_an_event(name: str) -> None:
    try:
        decoded = path_id(quote(name, safe=""))
    except ValueError:
        return
    assert decoded == name
    assume(
        name == name.strip() and name.lower() not in PLACEHOLDER_IDS
    )  # nobody has such an id: its list is the popular one
    body = json.dumps(good_event(NOW_MS, user_id=name)).encode()
    assert EventDecoder(EventSettings()).decode("", body, NOW_MS).user_id == name


@given(st.text(st.characters(categories=("Cc",)) | st.sampled_from("a\ufeff"), min_size=1, max_size=5))
def test_an_id_that_the_decoder_refuses_is_refused_in_a_path(name: str) -> None:
    try:
        EventDecoder(EventSettings()).decode("", json.dumps(good_event(NOW_MS, user_id=name)).encode(), NOW_MS)
    except BadRecord:
        with pytest.raises(ValueError):
            path_id(quote(name, safe=""))


def test_labels_are_the_routes_whatever_is_asked_for(shop: RunningShop) -> None:
    for number in range(20):
        shop.get(f"/v1/users/u{number}%2Fx/recommendations")
        shop.get(f"/nowhere/{number}")
        shop.get(f"/v1/users/%0{number % 10}/recommendations")
        shop.client.request("PATCH", f"/coffee{number}")
    text = shop.client.get("/metrics").text
    routes = {line.split('route="')[1].split('"')[0] for line in text.splitlines() if 'requests_total{route="' in line}
    assert routes == {"/v1/users/{user_id}/recommendations", "other"}
    assert shop.metric("requests_total", route="other", status="404") == 40
    assert shop.metric("requests_total", route="/v1/users/{user_id}/recommendations", status="422") == 20


HOSTILE = st.sampled_from("/.%\\?#&;=+ ~:@!$'()*,[]{}|^`\"<>-_0aAé🛒\u00a0\u200f\u2028") | st.characters(
    exclude_categories=("Cs",)
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example("..")
@example("%2e%2e%2F")
@example("//x//.")
@example("\u2028" * MAX_ID)
@given(st.text(HOSTILE, min_size=1, max_size=MAX_ID))
def test_an_id_that_an_event_has_comes_back_as_it_went_in(shop: RunningShop, name: str) -> None:
    """Over a socket, as different clients encode it: by Python, by a browser's encodeURIComponent, byte for byte."""
    answer = shop.client.post("/v1/events", json=good_event(int(time.time() * 1000), user_id=name))
    assume(answer.status_code == 202)
    assert shop.sent[-1][0].decode() == name
    by_byte = "".join(f"%{byte:02x}" for byte in name.encode())
    for encoded in (quote(name, safe=""), quote(name, safe="!'()*~"), by_byte):
        path = f"/v1/users/{encoded}/recommendations"
        status, body = shop.get(path)
        assert (status, json.loads(body)["user_id"]) == (200, name)
        assert json.loads(shop.first_list(f"{path}/stream"))["user_id"] == name
        assert shop.get(f"/v1/items/{encoded}/similar")[0] == 200


def test_an_id_that_is_not_encoded_is_refused_or_is_another_route(shop: RunningShop) -> None:
    for path in ("/v1/users/ä/recommendations", "/v1/users/a b/recommendations"):
        assert shop.get(path)[0] == 400
    status, body = shop.get("/v1/users/a/b/recommendations")
    assert status == 404 and "a slash in an id is %2F" in json.loads(body)["error"]
