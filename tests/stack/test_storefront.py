"""The storefront over the real stack: HTTP, SSE, and the shop page in a real browser."""

import json
import os
import time
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from model_export.data.online_retail import catalogue
from operators.records.contracts import CATALOGUE, encode_record
from tests.bad_records import good_event
from tests.browser import browser
from tests.running_stack import Stack
from tests.stack.topics import eventually


@pytest.fixture(scope="module")
def shop(stack: Stack, demo_bundle: Path) -> str:
    """The storefront's address, with the whole catalogue in stock."""
    stack.serve(demo_bundle)
    for item in catalogue():
        stack.topics.send(CATALOGUE, item.item_id, encode_record(item))
    stack.topics.producer.flush()
    eventually(lambda: len(httpx.get(f"{stack.shop}/v1/search?limit=200").json()["items"]) == 200)
    return stack.shop


def now_ms() -> int:
    return int(time.time() * 1000)


def test_it_is_ready_and_describes_itself(shop: str) -> None:
    assert eventually(lambda: httpx.get(f"{shop}/readyz").status_code == 200)
    assert "/v1/events" in httpx.get(f"{shop}/openapi.json").json()["paths"]
    assert "liveshelf_storefront_requests_total" in httpx.get(f"{shop}/metrics").text


def test_a_stranger_gets_the_popular_list_said_as_such(shop: str) -> None:
    answer = httpx.get(f"{shop}/v1/users/nobody-here/recommendations?limit=5").json()
    assert (answer["known"], answer["source"], len(answer["items"])) == (False, "popular", 5)
    assert answer["items"][0]["title"]


def test_a_search_finds_words_first_and_then_what_belongs_to_them(shop: str) -> None:
    def titles(query: str) -> list[str]:
        return [item["title"].lower() for item in httpx.get(f"{shop}/v1/search", params={"q": query}).json()["items"]]

    lamps = titles("table lamp")
    both = ["table" in title and "lamp" in title for title in lamps]
    assert any(both) and not all(both)
    assert both == sorted(both, reverse=True)
    toys = titles("kid toy")  # no title has both words
    assert toys and any("toy" in title for title in toys)
    assert httpx.get(f"{shop}/v1/search?q=zzqx").json()["matched"] == "popular"


def test_an_event_over_http_becomes_a_list_on_the_stream(shop: str) -> None:
    user, item = f"http{now_ms()}", "85123A"
    with httpx.stream("GET", f"{shop}/v1/users/{user}/recommendations/stream", timeout=30) as stream:
        lines = stream.iter_lines()
        first = next(json.loads(line[5:]) for line in lines if line.startswith("data:"))
        assert first["known"] is False
        event = good_event(now_ms(), event_id=user, user_id=user, item_id=item)
        assert httpx.post(f"{shop}/v1/events", json=event).status_code == 202
        made = next(json.loads(line[5:]) for line in lines if line.startswith("data:"))
    assert (made["known"], made["version"], made["event_id"], made["source"]) == (True, 1, user, "model")
    assert httpx.get(f"{shop}/v1/users/{user}/recommendations").json()["items"] == made["items"]


def test_events_are_taken_as_array_and_as_lines_and_bad_ones_are_refused_with_a_reason(shop: str) -> None:
    two = [good_event(now_ms(), event_id=f"two{n}", user_id="two") for n in range(2)]
    assert httpx.post(f"{shop}/v1/events", json=two).json() == {"taken": 2}
    lines = "\n".join(json.dumps(event) for event in two)
    assert httpx.post(f"{shop}/v1/events", content=lines).json() == {"taken": 2}
    refused = httpx.post(f"{shop}/v1/events", json=good_event(now_ms(), event_type="teleport"))
    assert (refused.status_code, refused.json()["reason"]) == (422, "unknown_event_type")
    assert httpx.post(f"{shop}/v1/events", content=b"[1,").status_code == 422


def test_lines_with_crlf_and_a_byte_order_mark_become_lists(stack: Stack, shop: str) -> None:
    user = f"crlf{now_ms()}"
    lines = [json.dumps(good_event(now_ms(), event_id=f"{user}{n}", user_id=user, item_id="85123A")) for n in range(2)]
    answer = httpx.post(f"{shop}/v1/events", content=b"\xef\xbb\xbf" + "\r\n".join([*lines, ""]).encode())
    assert (answer.status_code, answer.json()) == (202, {"taken": 2})
    eventually(lambda: stack.topics.newest_lists().get(user, ({},))[0].get("version") == 2)


@pytest.mark.parametrize("name", ["a/b", "?#%2F", "../x", "ä ö 🛒", "x/recommendations/stream"])
def test_a_user_and_an_item_of_any_characters_go_all_the_way(shop: str, name: str) -> None:
    user, item = f"{name}{now_ms()}", "15056BL/A"
    event = good_event(now_ms(), event_id=f"any{now_ms()}", user_id=user, item_id=item)
    address = f"{shop}/v1/users/{quote(user, safe='')}/recommendations"
    with httpx.stream("GET", f"{address}/stream", timeout=30) as stream:
        lines = stream.iter_lines()
        assert next(json.loads(line[5:]) for line in lines if line.startswith("data:"))["user_id"] == user
        assert httpx.post(f"{shop}/v1/events", json=event).status_code == 202
        made = next(json.loads(line[5:]) for line in lines if line.startswith("data:"))
    assert (made["user_id"], made["known"], made["event_id"]) == (user, True, event["event_id"])
    assert httpx.get(address).json()["items"] == made["items"]
    assert httpx.get(f"{shop}/v1/items/{quote(item, safe='')}/similar").json() == []


def test_hostile_requests_are_refused_and_nothing_of_them_is_published(stack: Stack, shop: str) -> None:
    user = f"hostile{now_ms()}"
    event = good_event(now_ms(), event_id=user, user_id=user)
    bad = good_event(now_ms(), event_id=f"{user}2", event_type="teleport")
    refused = httpx.post(f"{shop}/v1/events", json=[event, bad])
    assert (refused.status_code, refused.json()["index"]) == (422, 1)
    for body, status in ((b"[" * 100_000, 422), (b"x" * 2_000_000, 413), (b"\x00", 422)):
        assert httpx.post(f"{shop}/v1/events", content=body).status_code == status
    foreign = {"content-type": "text/plain", "origin": "https://evil.example"}
    assert httpx.post(f"{shop}/v1/events", content=json.dumps(event), headers=foreign).status_code == 403
    rebound = {"host": "evil.example"}
    assert httpx.post(f"{shop}/v1/events", json=event, headers=rebound).status_code == 400
    assert httpx.get(f"{shop}/healthz").headers["x-content-type-options"] == "nosniff"
    marker = good_event(now_ms(), event_id=f"{user}3", user_id=f"{user}-end")
    assert httpx.post(f"{shop}/v1/events", json=marker).status_code == 202
    eventually(lambda: f"{user}-end" in stack.topics.newest_lists())
    assert user not in stack.topics.newest_lists()
    metrics = httpx.get(f"{shop}/metrics").text
    assert "liveshelf_storefront_exceptions_total{" not in metrics
    assert 'status="500"' not in metrics


def test_a_trace_goes_with_a_list_and_rubbish_does_not(stack: Stack, shop: str) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    wanted = {"good": trace, "long": None, "later": trace}
    given = {"good": trace, "long": f"{trace}-{'x' * 15_000}", "later": f"cc{trace[2:]}-{'x' * 1000}"}
    users = {name: f"trace-{name}{now_ms()}" for name in wanted}
    for name, user in users.items():
        event = good_event(now_ms(), event_id=user, user_id=user, traceparent=given[name])
        assert httpx.post(f"{shop}/v1/events", json=event).status_code == 202
    lists = eventually(
        lambda: (found := stack.topics.newest_lists()) and all(u in found for u in users.values()) and found
    )
    assert {name: lists[user][0].get("traceparent") for name, user in users.items()} == wanted


def test_what_goes_out_of_stock_leaves_a_list_that_was_made_before(stack: Stack, shop: str) -> None:
    user = f"stock{now_ms()}"
    httpx.post(f"{shop}/v1/events", json=good_event(now_ms(), event_id=user, user_id=user, item_id="85123A"))
    address = f"{shop}/v1/users/{user}/recommendations"
    made = eventually(lambda: (answer := httpx.get(address).json())["known"] and answer)
    gone = next(item for item in catalogue() if item.item_id == made["items"][0]["item_id"])
    gone.in_stock = False
    stack.topics.send(CATALOGUE, gone.item_id, encode_record(gone))
    stack.topics.producer.flush()
    eventually(lambda: httpx.get(address).json()["items"][0]["item_id"] != gone.item_id)
    gone.in_stock = True
    stack.topics.send(CATALOGUE, gone.item_id, encode_record(gone))
    stack.topics.producer.flush()


def test_search_and_similar(shop: str) -> None:
    found = httpx.get(f"{shop}/v1/search?q=lantern&limit=10").json()["items"]
    assert found
    assert all("lantern" in item["title"].lower() for item in found)
    near = httpx.get(f"{shop}/v1/items/85123A/similar").json()
    assert len(near) > 5
    assert "85123A" not in [item["item_id"] for item in near]


def shown(page: webdriver.Chrome) -> list[str]:
    """The items of the list in one look: the page may draw it anew at any time."""
    return page.execute_script("return [...document.querySelectorAll('#list li')].map((place) => place.dataset.item)")


def test_on_the_page_adding_an_item_changes_the_list_and_shows_the_milliseconds(shop: str, tmp_path: Path) -> None:
    with browser() as page:
        page.get(shop)
        wait = WebDriverWait(page, 30)
        wait.until(lambda p: len(p.find_elements(By.CSS_SELECTOR, "#list li")) >= 10)
        search = page.find_element(By.ID, "q")
        search.send_keys("lunch bag")
        wait.until(lambda p: p.find_elements(By.CSS_SELECTOR, '#shelf[data-q="lunch bag"] li'))
        before = shown(page)
        card = page.find_element(By.CSS_SELECTOR, "#shelf li")
        added = card.find_element(By.CLASS_NAME, "title").text
        card.find_element(By.CSS_SELECTOR, "button.add").click()
        wait.until(lambda p: p.find_element(By.ID, "ms").text.isdigit())
        after = shown(page)
        assert after != before
        assert card.get_attribute("data-item") not in after
        wait.until(lambda p: added in p.find_element(By.ID, "basket").text)
        assert int(page.find_element(By.ID, "ms").text) < 5000
        reasons = " ".join(place.text for place in page.find_elements(By.CLASS_NAME, "reason"))
        assert "in your basket" in reasons
        page.save_screenshot(os.environ.get("SCREENSHOT", str(tmp_path / "shop.png")))
        assert page.get_log("browser") == []


def test_the_description_is_drawn_without_the_network_and_can_be_tried_out(shop: str) -> None:
    with browser() as page:
        page.get(f"{shop}/docs")
        wait = WebDriverWait(page, 30)
        wait.until(lambda p: len(p.find_elements(By.CLASS_NAME, "opblock")) >= 8)
        loaded = page.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
        assert loaded and all(name.startswith((shop, "data:")) for name in loaded)
        page.find_element(By.CSS_SELECTOR, ".opblock-summary-control").click()
        wait.until(lambda p: p.find_elements(By.CLASS_NAME, "try-out__btn"))[0].click()
        wait.until(lambda p: p.find_elements(By.CSS_SELECTOR, "input[placeholder=user_id]"))[0].send_keys("a/b")
        page.find_element(By.CLASS_NAME, "execute").click()
        found = wait.until(lambda p: p.find_elements(By.CSS_SELECTOR, ".live-responses-table .response-col_status"))
        assert "/v1/users/a%2Fb/recommendations" in page.find_element(By.CLASS_NAME, "request-url").text
        wait.until(lambda p: any("200" in one.text for one in found))
        assert page.get_log("browser") == []


def test_the_operations_are_drawn_under_the_policy(shop: str) -> None:
    with browser() as page:
        page.get(f"{shop}/ops")
        WebDriverWait(page, 30).until(lambda p: len(p.find_elements(By.CSS_SELECTOR, "#charts figure")) >= 10)
        assert page.get_log("browser") == []
