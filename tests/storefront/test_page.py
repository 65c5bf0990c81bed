"""The pages in a real browser, where it is not the one of the machine that serves them."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from operators.errors import BrokerError
from storefront.events.event_producer import EventProducer
from tests.browser import browser
from tests.storefront.conftest import Serve

# a name that is no localhost, for this machine: what runs on secure pages alone is missing there
PLAIN_HTTP = (
    "--host-resolver-rules=MAP shop.example 127.0.0.1",
    "--no-proxy-server",
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
)


def shows(page: webdriver.Chrome, text: str) -> bool:
    return text in page.find_element(By.ID, "log").text


def test_on_plain_http_the_page_says_added_when_the_event_was_taken(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = serve(hosts=["shop.example"])
    with browser(*PLAIN_HTTP) as page:
        page.get(f"http://shop.example:{shop.port}/")
        assert page.execute_script("return [isSecureContext, typeof crypto.randomUUID]") == [False, "undefined"]
        wait = WebDriverWait(page, 20)
        buttons = wait.until(lambda p: p.find_elements(By.CSS_SELECTOR, "#list li button.add"))
        buttons[0].click()
        wait.until(lambda p: shows(p, "added"))
        assert [b"add_to_cart" in value for _, value in shop.sent] == [True]
        assert len(page.find_elements(By.CSS_SELECTOR, "#basket li")) == 1
        assert page.get_log("browser") == []

        async def refuse(*_: object) -> None:
            raise BrokerError("Kafka to take the event", "no acknowledgement", "try again")

        monkeypatch.setattr(EventProducer, "publish", refuse)
        buttons[1].click()
        wait.until(lambda p: shows(p, "add_to_cart refused: expected Kafka to take the event"))
        page.find_element(By.ID, "buy").click()
        wait.until(lambda p: shows(p, "purchase refused"))
        assert page.find_element(By.ID, "log").text.count("added") == 1
        assert not shows(page, "bought")
        assert len(page.find_elements(By.CSS_SELECTOR, "#basket li")) == 1, "neither more nor less than was taken"
        assert page.find_element(By.ID, "buy").is_enabled()


KNOWN_LIST = """drawList({known: true, version: 1, source: "model", model: {name: "m", version: "1"}, recommendation_id: "r1",
 items: ["k0", "k1", "k2"].map((id, n) => ({item_id: id, rank: n + 1, reason: {kind: "for_you"}}))})"""


def test_what_a_shopper_does_with_a_list_names_it_and_a_purchase_is_about_one_list(serve: Serve) -> None:
    shop = serve()
    with browser("--no-proxy-server") as page:
        page.get(f"http://127.0.0.1:{shop.port}/")
        wait = WebDriverWait(page, 20)

        def sent(kind: str) -> list[dict]:
            events = [json.loads(value) for _, value in shop.sent]
            return [event for event in events if event["event_type"] == kind]

        def of(event: dict) -> tuple:
            return event.get("item_id"), event.get("recommendation_id"), event.get("position")

        popular = wait.until(lambda p: p.find_elements(By.CSS_SELECTOR, "#list li"))[0]
        stranger = popular.get_attribute("data-item")
        popular.find_element(By.CSS_SELECTOR, "button.add").click()
        wait.until(lambda _: sent("add_to_cart"))
        assert of(sent("add_to_cart")[0]) == (stranger, None, None), "the popular list is nobody's"
        assert sent("impression") == []
        for _ in range(2):
            page.execute_script(KNOWN_LIST)
        wait.until(lambda _: len(sent("impression")) == 2)
        shown = sent("impression")
        assert {event["event_id"] for event in shown} == {"shown-r1"}, "it counts once, whoever sends it"
        assert (shown[0]["items"], shown[0]["recommendation_id"]) == (["k0", "k1", "k2"], "r1")
        places = page.find_elements(By.CSS_SELECTOR, "#list li")
        places[1].find_element(By.CSS_SELECTOR, "button.title").click()
        wait.until(lambda _: sent("click"))
        assert of(sent("click")[0]) == ("k1", "r1", 1)
        for place in (places[2], places[0]):
            place.find_element(By.CSS_SELECTOR, "button.add").click()
        wait.until(lambda p: len(p.find_elements(By.CSS_SELECTOR, "#basket li")) == 3)
        page.find_element(By.ID, "buy").click()
        wait.until(lambda p: shows(p, "bought 3 items"))
        assert [(event["items"], event.get("recommendation_id")) for event in sent("purchase")] == [
            ([stranger], None),
            (["k2", "k0"], "r1"),
        ]
        assert page.get_log("browser") == []


NEW_LIST = """drawList({known: false, version: 0, source: "model", model: {name: "m", version: "1"}, recommendation_id: "r2",
 items: [{item_id: "k0", rank: 1, reason: {kind: "for_you"}}, {item_id: "k1", rank: 2, reason_title: "A mug", reason: {kind: "new", item_id: "i1"}},
 {item_id: "k2", rank: 3, reason: {kind: "explore"}}]})"""


def test_a_new_product_is_marked_and_says_what_it_is_like(serve: Serve) -> None:
    shop = serve()
    with browser("--no-proxy-server") as page:
        page.get(f"http://127.0.0.1:{shop.port}/")
        WebDriverWait(page, 20).until(lambda p: p.find_elements(By.CSS_SELECTOR, "#list li"))
        page.execute_script(NEW_LIST)
        rows = [place.text for place in page.find_elements(By.CSS_SELECTOR, "#list li")]
        badges = page.find_elements(By.CSS_SELECTOR, "#list li .badge")
        assert [badge.text for badge in badges] == ["new"] and "like A mug" in rows[1] and "worth a look" in rows[2]


class EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>a shop</title>")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def other_origin() -> Iterator[str]:
    """A page that is served by somebody else."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


FETCH = """
const [address, options, done] = arguments;
fetch(address, options).then(async (answer) => done([answer.status, await answer.text()]), (error) => done([0, String(error)]));
"""
STREAM = """
const [address, done] = arguments;
const stream = new EventSource(address);
stream.addEventListener("list", (message) => { stream.close(); done(JSON.parse(message.data).user_id); });
stream.onerror = () => { stream.close(); done("refused"); };
"""
EVENT = '{"event_id":"e1","event_type":"view","event_time":%d,"user_id":"u1","item_id":"i1"}'


def test_a_page_of_another_origin_asks_where_it_is_named(serve: Serve, other_origin: str) -> None:
    closed, named, read_only = serve(), serve(cors_origins=[other_origin]), serve(cors_origins=["*"])
    publish = {
        "method": "POST",
        "headers": {"content-type": "application/json"},
        "body": EVENT % int(time.time() * 1000),
    }
    with browser("--no-proxy-server") as page:
        page.get(other_origin)

        def fetch(port: int, path: str, options: dict[str, object] | None = None) -> int:
            return page.execute_async_script(FETCH, f"http://127.0.0.1:{port}{path}", options or {})[0]

        def stream(port: int) -> str:
            return page.execute_async_script(STREAM, f"http://127.0.0.1:{port}/v1/users/u1/recommendations/stream")

        reads = ("/v1/users/a%2Fb/recommendations", "/v1/items/i1/similar", "/v1/search?q=x")
        for shop, read_status, publish_status in ((closed, 0, 0), (read_only, 200, 0), (named, 200, 202)):
            assert [fetch(shop.port, path) for path in reads] == [read_status] * len(reads)
            assert fetch(shop.port, "/v1/events", publish) == publish_status
            assert [fetch(shop.port, path) for path in ("/v1/ops", "/metrics", "/healthz", "/")] == [0] * 4
            assert stream(shop.port) == ("u1" if read_status else "refused")
        assert fetch(named.port, "/v1/users/u1/recommendations?limt=5") == 422, "a refusal can be read"
        assert len(named.sent) == 1
