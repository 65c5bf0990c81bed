"""Models change while the job runs: no list is lost, none names a model that did not make it, and what is bad never serves."""

import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xxhash
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.faults.fault import Fault
from operators.model.bundle_files import manifest_sum
from operators.records.contracts import MODELS, RECOMMENDATIONS
from tests.builders import write_bundle, write_manifest
from tests.running_stack import Stack
from tests.stack.topics import eventually

pytestmark = pytest.mark.slow
ITEMS = ("85123A", "22423", "47566", "84879", "20725")  # of the demo's bundle
CHANGE_S = 60  # from a verb to the last scorer


def version_of(bundle: Path, folder: Path, version: str) -> Path:
    """The same bundle under another version."""
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / "manifest.json").read_text()) | {"version": version}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def bundles(demo_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [version_of(demo_bundle, folder / version, version) for version in ("second", "third")]


@pytest.fixture
def serving(stack: Stack, job: str) -> Iterator[str]:
    """The job with its submitted bundle; afterwards too."""
    yield job
    stack.liveshelf("models", "reset", "--why", "the test is over")


class Shoppers:
    """So many views a second by shoppers of their own, in a thread, and what came of them."""

    def __init__(self, stack: Stack, rate: int = 200, users: int = 400, items: Sequence[str] = ITEMS) -> None:
        self._stack, self._rate, self._items = stack, rate, items
        self._users = [f"roll{time.time_ns()}-{number}" for number in range(users)]
        self.sent, self._starts = Counter[str](), stack.topics.ends(RECOMMENDATIONS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Shoppers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number, began = 0, time.monotonic()
        while not self._stop.is_set():
            events = []
            while number < (time.monotonic() - began) * self._rate:
                user = self._users[number % len(self._users)]
                events.append(
                    {
                        "event_id": f"{user}-{number}",
                        "event_type": "view",
                        "event_time": int(time.time() * 1000),
                        "user_id": user,
                        "item_id": self._items[number % len(self._items)],
                    }
                )
                self.sent[user] += 1
                number += 1
            self._stack.topics.publish(events)
            time.sleep(0.02)

    def lists(self) -> list[dict[str, Any]]:
        """All lists of these shoppers so far, in the order of the partitions."""
        mine = set(self._users)
        records = self._stack.topics.read(RECOMMENDATIONS, self._starts)
        return [json.loads(record.value) for record in records if record.value and record.key.decode() in mine]

    def newest(self) -> dict[str, int]:
        versions: dict[str, int] = {}
        for one in self.lists():
            versions[one["user_id"]] = max(one["version"], versions.get(one["user_id"], 0))
        return versions


def models(stack: Stack, *words: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(stack.liveshelf("models", *words, "--json").stdout)
    return answer


def serves(shoppers: Shoppers, *versions: str) -> bool:
    """Whether the lists of the last second are of these versions, and of each of them."""
    now = time.time() * 1000
    found = {one["model"]["version"] for one in shoppers.lists() if one["generated_at"] > now - 1000}
    return found == {*versions}


def own_id(one: dict[str, Any]) -> str:
    model = f"\0{one['model']['name']}\0{one['model']['version']}"
    return xxhash.xxh3_128_hexdigest(
        f"{one['user_id']}\0{one['epoch']}.{one['version']}{model}\0{one['source']}".encode()
    )


def late_ms(lists: list[dict[str, Any]], begin: float, end: float) -> np.ndarray:
    """Quantiles 0.5 and 0.99 of the lists' ages when they were made."""
    ages = [one["generated_at"] - one["event_time"] for one in lists if begin <= one["generated_at"] / 1000 < end]
    return np.quantile(ages, [0.5, 0.99])


def test_models_change_under_load_and_nothing_is_lost_or_mixed(
    stack: Stack, serving: str, bundles: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    restarts, took = stack.restarts(serving), dict[str, float]()
    with Shoppers(stack) as shoppers:
        eventually(lambda: len(shoppers.lists()) > 400, 60)
        submitted = shoppers.lists()[-1]["model"]["version"]
        moments = [time.time()]
        for verb, versions in (
            (("promote", str(bundles[0])), ("second",)),
            (("split", str(bundles[1]), "--share", "0.3"), ("second", "third")),
            (("promote", str(bundles[1])), ("third",)),
            (("rollback",), ("second",)),
            (("rollback",), ("third",)),
            (("reset",), (submitted,)),
        ):
            answer, since = models(stack, *verb), time.monotonic()
            eventually(lambda versions=versions: serves(shoppers, *versions), CHANGE_S)
            took[f"{verb[0]} to {'+'.join(versions)}"] = round(time.monotonic() - since, 1)
            assert verb[0] == "reset" or answer["champion"]["version"] in versions
        moments.append(time.time())
        time.sleep(5)
        moments.append(time.time())
    eventually(lambda: shoppers.newest() == shoppers.sent, 60)
    lists = shoppers.lists()
    assert all(one["recommendation_id"] == own_id(one) for one in lists), "a list names the model that made it"
    assert stack.restarts(serving) == restarts
    share = Counter(one["user_id"] for one in lists if one["model"]["version"] == "third")
    assert len(share) > 0
    during, after = late_ms(lists, *moments[:2]), late_ms(lists, *moments[1:])
    with capsys.disabled():
        print(f"\nseconds {took}; {len(lists)} lists; ms p50, p99: during changes {during}, after {after}")


def test_a_user_keeps_a_model_and_a_killed_taskmanager_serves_as_the_topic_says(
    stack: Stack, serving: str, bundles: list[Path]
) -> None:
    restarts = stack.restarts(serving)
    models(stack, "promote", str(bundles[0]))
    models(stack, "split", str(bundles[1]), "--share", "0.5")
    with Shoppers(stack, 100, 100) as shoppers:
        eventually(lambda: serves(shoppers, "second", "third"), CHANGE_S)
        assert not stack.injector.inject(Fault("kill", "taskmanager")).failure
        eventually(lambda: stack.restarts(serving) > restarts, 60)
        since = time.time() * 1000 + 2000
        eventually(lambda: sum(one["generated_at"] > since for one in shoppers.lists()) > 300, 60)
    made = dict[str, set[str]]()
    for one in shoppers.lists():
        if one["generated_at"] > since:
            made.setdefault(one["user_id"], set()).add(one["model"]["version"])
    assert all(len(versions) == 1 for versions in made.values()), "one model a user"
    assert {next(iter(versions)) for versions in made.values()} == {"second", "third"}, "not the submitted bundle"


def test_the_storefronts_popular_list_is_the_champions(stack: Stack, serving: str, bundles: list[Path]) -> None:
    def version() -> str:
        answer = httpx.get(f"{stack.shop}/v1/users/nobody/recommendations").json()
        return str(answer["model"]["version"])

    before = version()
    models(stack, "promote", str(bundles[0]))
    eventually(lambda: version() == "second", CHANGE_S)
    models(stack, "rollback")
    eventually(lambda: version() == before, CHANGE_S)


def test_a_bundle_that_is_broken_never_serves(stack: Stack, serving: str, bundles: list[Path], tmp_path: Path) -> None:
    broken = version_of(bundles[0], tmp_path / "broken", "broken")
    graph = broken / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    assert "sha256" in stack.liveshelf("models", "promote", str(broken), ok=False).stderr
    assert models(stack, "list")["champion"] is None
    good = models(stack, "promote", str(bundles[0]))
    with Shoppers(stack, 100, 50) as shoppers:
        eventually(lambda: serves(shoppers, "second"), CHANGE_S)
        planted = good["champion"] | {"version": "broken", "sum": manifest_sum(broken), "address": str(broken)}
        for number, record in enumerate(
            (
                good | {"champion": planted, "revision": 2},
                good | {"champion": planted | {"sum": "0" * 64}, "revision": 3},
                {"champion": "nothing"},
            )
        ):
            stack.topics.send(MODELS, stack.settings.job.name, json.dumps(record).encode())
            stack.topics.producer.flush()
            if number < 2:
                eventually(lambda number=number: refused_rollouts(stack) == number + 1, CHANGE_S)
        time.sleep(3)
        assert serves(shoppers, "second"), "what served goes on"
    eventually(lambda: shoppers.newest() == shoppers.sent, 30)


def test_a_bundle_that_answers_nan_is_taken_back_by_itself(
    stack: Stack, serving: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write_bundle(tmp_path / "nan", len(ITEMS), nan_for=3)
    (bad / "items.json").write_text(json.dumps(ITEMS))
    write_manifest(bad)
    with Shoppers(stack, 100, 200, ITEMS[2:3]) as shoppers:
        eventually(lambda: len(shoppers.lists()) > 200, 60)
        before = shoppers.lists()[-1]["model"]["version"]
        models(stack, "promote", str(bad))
        since = time.monotonic()
        eventually(lambda: serves(shoppers, "1"), CHANGE_S)
        eventually(lambda: serves(shoppers, before), 2 * CHANGE_S)
        took = time.monotonic() - since
    eventually(lambda: shoppers.newest() == shoppers.sent, 60)
    bad_lists = [one for one in shoppers.lists() if one["model"]["version"] == "1"]
    assert bad_lists and all(one["source"] != "model" for one in bad_lists), "nobody waits for a model that fails"
    acts = json.loads(stack.liveshelf("audit", "list", "--json").stdout)
    assert any("fallback lists" in act["what"].get("why", "") for act in acts), acts
    assert took < CHANGE_S
    with capsys.disabled():
        print(f"\ntaken back {took:.1f} s after the verb; {len(bad_lists)} fallback lists meanwhile")


def refused_rollouts(stack: Stack) -> float:
    """Of the operator since it started."""
    for target in Path(stack.layout.targets).glob("operator-*.json"):
        address = json.loads(target.read_text())[0]["targets"][0]
        for family in text_string_to_metric_families(httpx.get(f"http://{address}/metrics").text):
            for sample in family.samples:
                if sample.name == "liveshelf_refused_rollouts_total":
                    return sample.value
    return -1
