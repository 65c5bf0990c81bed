"""Prometheus, Alertmanager and /ops over the real stack: what a person who watches would see."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from benchmarks.measuring.load import Load, in_the_background
from deploy.monitoring.alerts import ALERTS
from liveshelf.pages import metrics_page
from model_export.data.online_retail import catalogue
from operators.settings import Settings
from tests.bad_records import good_event
from tests.browser import browser
from tests.monitoring.test_dashboards import expressions
from tests.running_stack import WEBHOOK_PORT, Stack
from tests.stack.topics import eventually

JOIN_NAMES = {"liveshelf:feedback_users", "liveshelf_feedback_total"}  # a job without the join has none of them
SCREENSHOTS = os.environ.get("SCREENSHOTS")  # a folder: the pictures of the docs


class Prometheus:
    """The stack's own, over its HTTP API."""

    def __init__(self, settings: Settings) -> None:
        self._address = f"http://127.0.0.1:{settings.stack.prometheus_port}/api/v1"

    def value(self, query: str) -> float | None:
        found = self._get("query", query=query)["result"]
        return float(found[0]["value"][1]) if found else None

    def up(self) -> dict[str, bool]:
        targets = self._get("targets")["activeTargets"]
        return {t["labels"].get("part", t["labels"]["job"]): t["health"] == "up" for t in targets}

    def names(self) -> set[str]:
        """Of all metrics and recorded rules that it knows."""
        found = httpx.get(f"{self._address}/label/__name__/values").json()["data"]
        return set(found)

    def alerts(self, state: str = "firing") -> set[str]:
        return {a["labels"]["alertname"] for a in self._get("alerts")["alerts"] if a["state"] == state}

    def _get(self, path: str, **parameters: str) -> Any:
        return httpx.get(f"{self._address}/{path}", params=parameters).raise_for_status().json()["data"]


@pytest.fixture(scope="module")
def prometheus(stack: Stack) -> Prometheus:
    return Prometheus(stack.settings)


class Called:
    """What Alertmanager's webhook was told: (alert, status) with the time."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, float]] = []

    def of(self, name: str, status: str) -> float | None:
        return next((at for alert, told, at in self.calls if (alert, told) == (name, status)), None)

    def firing_since(self, moment: float) -> set[str]:
        """Alertmanager tells seconds later than Prometheus knows: what an earlier test did may arrive in this one."""
        return {alert for alert, told, at in self.calls if told == "firing" and at >= moment}


@contextmanager
def webhook() -> Iterator[Called]:
    called = Called()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            called.calls += [(a["labels"]["alertname"], a["status"], time.time()) for a in body["alerts"]]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", WEBHOOK_PORT), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield called
    server.shutdown()
    server.server_close()


@contextmanager
def load(stack: Stack, rate: float, seconds: float) -> Iterator[None]:
    """Shoppers who go on, whatever happens."""
    given = Load(
        client=stack.settings.kafka.client_options(),
        items=[item.item_id for item in catalogue()][:2000],
        count=int(rate * seconds),
        rate=rate,
        users=500,
        tag=f"watch{int(time.time())}",
    )
    process = in_the_background(given)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def picture(page: Any, name: str, tmp_path: Path) -> None:
    page.save_screenshot(str(Path(SCREENSHOTS or tmp_path) / f"{name}.png"))


def test_every_part_is_scraped_and_every_metric_of_ours_is_documented(
    stack: Stack, job: str, prometheus: Prometheus
) -> None:
    with load(stack, 50, 60):
        parts = {
            "broker", "operator", "scorer", "jobmanager", "taskmanager-0", "taskmanager-1",
            "storefront", "monitor", "prometheus", "alertmanager",
        }  # fmt: skip
        up = eventually(lambda: (found := prometheus.up()).keys() >= parts and all(found.values()) and found, 60)
        assert up.keys() == parts
        eventually(lambda: (prometheus.value("liveshelf_fresh_users_ratio") or 0) > 0.9, 60)
        eventually(lambda: prometheus.value("liveshelf:stage_seconds:mean1m"), 60)
        names = {n for n in prometheus.names() if re.match(r"liveshelf[_:]", n) and not n.endswith("_created")}
        documented = set(re.findall(r"`(liveshelf[_:][a-z0-9_:]+)`", metrics_page.page(Settings.model_construct())))
        plain = {re.sub(r"_(bucket|sum|count)$", "", n) for n in names if "error_ratio:rate" not in n}
        assert plain - documented == set()
        assert len({n for n in plain if n.startswith("liveshelf_")}) > 35


def test_every_metric_that_a_dashboard_or_an_alert_asks_for_is_there(
    stack: Stack, job: str, prometheus: Prometheus
) -> None:
    """By the names in their PromQL; what only a fault, a refused record, a shop's clicks or a trainer that runs bring need not
    be there yet.

    The names of the feedback join: `tests/stack/records/test_feedback.py`, with a job that has it.
    """
    words = re.compile(r"(?<![\w:.{\"'@$])((?:liveshelf|flink|kafka|process)[_:][a-z][A-Za-z0-9_:]*)(?![\w(])")
    texts = [*expressions(), *(alert.expression for alert in ALERTS)]
    asked = {name for text in texts for name in words.findall(text)}
    assert len(asked) > 60
    only_then = {
        "liveshelf:click_through:ratio1h",
        "liveshelf:cart_through:ratio1h",
        "liveshelf:purchase_through:ratio1h",
        "liveshelf_dead_letters_total",
        "liveshelf_repaired_fields_total",
        "liveshelf_data_category_events_total",
        "liveshelf_experiment_outcomes_total",
        *JOIN_NAMES,
        *(name for name, *_ in metrics_page.families(metrics_page.registries(Settings.model_construct())["follower"])),
    }
    event = good_event(int(time.time() * 1000), event_id=f"asked{time.time()}", user_id="asked", item_id="85123A")
    assert httpx.post(f"{stack.shop}/v1/events", json=event).status_code == 202
    assert httpx.get(f"{stack.shop}/v1/users/asked/recommendations").status_code == 200
    missing = asked
    for _ in range(60):
        if not (missing := asked - prometheus.names() - only_then):
            break
        time.sleep(1)
    assert not missing


def test_the_stages_sum_to_the_freshness(stack: Stack, job: str, prometheus: Prometheus) -> None:
    def totals() -> list[str]:
        text = httpx.get(f"http://127.0.0.1:{stack.settings.job.metrics_port}/metrics").text
        return re.findall(r"^liveshelf_(?:stage_seconds_sum\{.*\}|freshness_seconds_sum) \S+$", text, re.MULTILINE)

    def at_rest() -> str:
        """A scrape while lists are made holds some of a list's stages without its freshness."""
        before = totals()
        time.sleep(1)
        return "\n".join(before) if before == totals() else ""

    with load(stack, 50, 30):
        time.sleep(12)
    text = eventually(at_rest)
    stages = [float(v) for v in re.findall(r"^liveshelf_stage_seconds_sum\{.*\} (\S+)$", text, re.MULTILINE)]
    (whole,) = re.findall(r"^liveshelf_freshness_seconds_sum (\S+)$", text, re.MULTILINE)
    assert sum(stages) == pytest.approx(float(whole), rel=1e-6)
    assert len([s for s in stages if s > 0]) >= 7


@pytest.mark.slow
def test_a_taskmanager_that_takes_over_is_found_by_prometheus(stack: Stack, job: str, prometheus: Prometheus) -> None:
    restarts = stack.restarts(job)
    before = prometheus.value("sum(liveshelf_events_total)")
    assert before
    os.kill(stack.supervisor.pids()[stack.injector.part("taskmanager")], signal.SIGKILL)
    eventually(lambda: stack.restarts(job) > restarts, 60)
    # another process has counted nothing yet
    eventually(lambda: (prometheus.value("sum(liveshelf_events_total)") or 0) < before, 60)
    eventually(lambda: prometheus.value('sum(up{job="operator"})') == 1 and all(prometheus.up().values()), 60)


@pytest.mark.slow
def test_a_dead_broker_pages_within_two_minutes_alone_and_resolves(
    stack: Stack, job: str, prometheus: Prometheus, tmp_path: Path
) -> None:
    """What fires already is what the tests before did to the stack; one more restart may be the third that they made."""
    usual, allowed = prometheus.alerts(), prometheus.alerts() | {"JobRestarts"}
    with browser() as page, webhook() as called, load(stack, 50, 400):
        page.get(f"{stack.shop}/ops")
        wait = WebDriverWait(page, 90)
        eventually(lambda: (prometheus.value("liveshelf:events:rate1m") or 0) > 40, 120)
        wait.until(lambda p: "%" in text(p, "#fresh b"))
        wait.until(lambda p: usual or text(p, "#wrong b") == "nothing")
        picture(page, "ops", tmp_path)
        os.kill(stack.supervisor.pids()["kafka"], signal.SIGKILL)
        killed = time.time()
        with stack.supervisor.stopped("kafka"):
            fired = eventually(lambda: called.of("BrokerDown", "firing"), 120)
            time.sleep(max(0.0, killed + 90 - time.time()))
            wait.until(lambda p: "BrokerDown" in text(p, "#wrong p"))
            wait.until(lambda p: text(p, "#fresh b") == "no lists now")
            assert "down" in page.find_element(By.XPATH, "//*[@id='parts']/li[text()='broker']").get_attribute("class")
            assert "liveshelf logs kafka" in text(page, "#alerts")
            picture(page, "ops-broker-down", tmp_path)
            told = called.firing_since(killed) - usual
        back = time.time()
        resolved = eventually(lambda: called.of("BrokerDown", "resolved"), 120)
        wait.until(lambda p: "%" in text(p, "#fresh b"))
        eventually(lambda: prometheus.alerts() <= allowed, 120)
        # what waited for the broker was answered late, and is in the quantiles for a minute
        WebDriverWait(page, 150).until(lambda p: "ok" in p.find_element(By.ID, "fresh").get_attribute("class"))
        wait.until(lambda p: usual or text(p, "#wrong b") == "nothing")
        picture(page, "ops-after", tmp_path)
        print(f"told after {fired - killed:.0f} s, resolved {resolved - back:.0f} s after its start; before: {usual}")
        assert fired - killed < 120
        assert told == {"BrokerDown"}, called.calls
        assert called.firing_since(killed) <= allowed | {"BrokerDown"}, called.calls


def text(page: Any, selector: str) -> str:
    return str(page.find_element(By.CSS_SELECTOR, selector).text)
