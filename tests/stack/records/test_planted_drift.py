"""Drifts planted into real traffic: each raises its alarm in a real Prometheus, and no other.

The rules are those of the stack with compressed durations: a week takes two minutes, everything else a 240th.
"""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import pytest
import yaml

from deploy.local.layout import Layout
from deploy.local.watchers.prometheus import scrape_config
from deploy.monitoring.rules import rules_text
from model_export.data.online_retail import catalogue
from operators.records.contracts import CATALOGUE, EVENTS, CatalogueItem, encode_record
from tests.running_stack import Stack
from tests.stack.topics import eventually

PORT = 19097
WEEK_S, SHORTEST_S = 120.0, 5.0
CATEGORIES = ("Lights", "Kitchen", "Garden", "Toys", "Paper")
RATE = 60.0


def compressed(seconds: float) -> float:
    return WEEK_S if seconds == 604_800 else max(SHORTEST_S, seconds / 240)


@pytest.fixture
def fast_prometheus(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """A second Prometheus over the same processes, with the compressed rules; its alerts' address."""
    program = shutil.which("prometheus")
    assert program, "install prometheus: make test does it as root"
    config = scrape_config(stack.settings, Layout.of(stack.settings))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"], config["alerting"] = [str(tmp_path / "rules.yml")], {}
    (tmp_path / "rules.yml").write_text(rules_text(compressed))
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    words = [program, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*words, f"--web.listen-address=127.0.0.1:{PORT}"], stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{PORT}/api/v1/alerts"
        finally:
            process.terminate()
            process.wait(30)


class Shop:
    """Shoppers who view and buy; what is wrong with them can be changed while they do."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._items: list[CatalogueItem] = []
        for number, item in enumerate(catalogue()):
            item.category = [CATEGORIES[number % len(CATEGORIES)]]
            stack.topics.send(CATALOGUE, item.item_id, encode_record(item))
            if item.price:
                self._items.append(item)
        stack.topics.producer.flush()
        self.price_factor, self.without_category, self.view_share = 1.0, "", 1.0
        self._stop = threading.Event()

    @contextmanager
    def open(self) -> Iterator[None]:
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(30)

    def _serve(self) -> None:
        chance, begun, number = Random(7), time.time(), 0
        while not self._stop.is_set():
            number += 1
            if (wait := begun + number / RATE - time.time()) > 0:
                time.sleep(wait)
            item = self._items[int(len(self._items) * chance.random() ** 2)]
            kind = "add_to_cart" if chance.random() < 0.3 else "view"
            if item.category == [self.without_category] or (kind == "view" and chance.random() > self.view_share):
                continue
            now = int(time.time() * 1000)
            event = {
                "event_id": f"drift{begun}-{number}", "event_type": kind, "event_time": now, "item_id": item.item_id,
                "user_id": f"drift{chance.randrange(400)}", "price": (item.price or 1) * self.price_factor, "currency": item.currency,
            }  # fmt: skip
            self._stack.topics.send(EVENTS, str(event["user_id"]), event)


@pytest.mark.manual
def test_each_drift_raises_its_alarm_and_no_other(stack: Stack, job: str, fast_prometheus: str) -> None:
    shop, said = Shop(stack), list[str]()

    def firing() -> set[str]:
        alerts = httpx.get(fast_prometheus).json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def watch(seconds: float) -> set[str]:
        seen, end = set[str](), time.monotonic() + seconds
        while time.monotonic() < end:
            seen |= firing()
            time.sleep(0.5)
        return seen

    def plant(name: str, change: Callable[[], None], undo: Callable[[], None], seconds: float = 45) -> set[str]:
        planted = time.monotonic()
        change()
        first = eventually(lambda: firing() - usual, seconds)
        after = time.monotonic() - planted
        seen = (first | watch(seconds - after)) - usual
        undo()
        eventually(lambda: not firing() - usual, 60)
        said.append(f"{name}: {sorted(seen)}, the first after {after:.0f} s")
        return seen

    with shop.open():
        watch(WEEK_S + 25)
        # the traffic is not the demo's orders: what the model sees has drifted from its training by itself
        usual = watch(15)
        assert usual <= {"DriftOfInputs"}
        prices = plant("prices times 100", lambda: setattr(shop, "price_factor", 100.0), lambda: setattr(shop, "price_factor", 1.0))  # fmt: skip
        category = plant("a category gone", lambda: setattr(shop, "without_category", "Garden"), lambda: setattr(shop, "without_category", ""))  # fmt: skip
        views = plant("views halved", lambda: setattr(shop, "view_share", 0.5), lambda: setattr(shop, "view_share", 1.0))  # fmt: skip
    print(f"usual: {sorted(usual)}; " + "; ".join(said))
    assert prices == {"PricesDisagree"}
    assert category == {"CategoryMissing"}
    assert views == {"VolumeAnomaly"}
