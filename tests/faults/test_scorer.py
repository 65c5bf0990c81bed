"""A scorer that hangs, raises, gives NaN, is slow, dies, or takes the process along."""

import json
import re
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.faults.evidence import Strike, struck_now
from benchmarks.faults.fault import Fault
from benchmarks.faults.verdict import Verdict
from operators.records.contracts import RECOMMENDATIONS
from tests.bad_records import good_event
from tests.builders import HANG_ITEM, NAN_ITEM, RAISE_ITEM, write_bundle, write_manifest
from tests.faults.conftest import Trial, record
from tests.running_stack import ROOT, Stack
from tests.stack.topics import eventually


def publish(stack: Stack, tag: str, user: str, number: int, item: str) -> int:
    """One event now; returns its time."""
    now = int(time.time() * 1000)
    event = good_event(now, event_id=f"{tag}-{user}-{number}", user_id=f"{tag}-{user}", item_id=item)
    stack.topics.publish([event])
    return now


@pytest.mark.slow
def test_while_the_scorer_hangs_everyone_gets_a_fallback_and_the_models_list_afterwards(stack: Stack) -> None:
    stack.serve(stack.faulty_bundle)
    start, tag = stack.topics.ends(RECOMMENDATIONS), f"hang{int(time.time())}"
    publish(stack, tag, "warm", 0, "i2")
    eventually(lambda: f"{tag}-warm" in stack.topics.newest_lists(start))
    publish(stack, tag, "victim", 0, HANG_ITEM)
    time.sleep(1)
    asked = {f"{tag}-{n}": publish(stack, tag, str(n), 0, "i3") for n in range(20)}
    eventually(lambda: asked.keys() <= stack.topics.newest_lists(start).keys())
    first: dict[str, dict] = {}
    for made in stack.topics.read(RECOMMENDATIONS, start):
        first.setdefault(made.key.decode(), json.loads(made.value))
    late = {user: first[user]["generated_at"] - asked[user] for user in asked}
    print(f"while it hung: {Counter(one['source'] for one in first.values())}, latest after {max(late.values())} ms")
    assert {first[user]["source"] for user in asked} == {"neighbours"}
    assert max(late.values()) < stack.settings.scorer.deadline_ms + 1000, late
    eventually(lambda: all(stack.topics.newest_lists(start)[user][0]["source"] == "model" for user in asked), 60)
    note = (
        f"{len(asked)} users had neighbours at most {max(late.values())} ms after their event, the model's list later"
    )
    struck = f"the first list of {len(asked)} users is a fallback"
    record({"name": "scorer hangs", "users": len(asked), "struck": struck, "note": note, "verdict": Verdict.KEPT})


@pytest.mark.slow
def test_a_scorer_that_raises_or_gives_nan_costs_that_user_alone_the_model(stack: Stack) -> None:
    job = stack.serve(stack.faulty_bundle)
    restarts = stack.restarts(job)
    start, tag = stack.topics.ends(RECOMMENDATIONS), f"raise{int(time.time())}"
    items = {"raises": RAISE_ITEM, "nan": NAN_ITEM} | {f"good{n}": "i2" for n in range(30)}
    now = int(time.time() * 1000)
    stack.topics.publish(
        good_event(now, event_id=f"{tag}-{user}", user_id=f"{tag}-{user}", item_id=item) for user, item in items.items()
    )
    mine = [f"{tag}-{user}" for user in items]
    lists = eventually(lambda: (found := stack.topics.newest_lists(start)).keys() >= set(mine) and found)
    sources = Counter((user.removeprefix(f"{tag}-")[:4], lists[user][0]["source"]) for user in mine)
    kept = sources == {("rais", "neighbours"): 1, ("nan", "neighbours"): 1, ("good", "model"): 30}
    kept = kept and stack.restarts(job) == restarts
    name = "scorer raises, or gives NaN, on one user"
    record({"name": name, "users": len(mine), "note": str(dict(sources)), "verdict": Verdict.of(kept)})
    assert kept, sources


MAKE = "return self._lists.make_encoded(requests, with_digest=self._audited)"
SCORER = "pipelines/scoring/main.py"


def sabotage(condition: str, deed: str) -> str:
    """The scorer's call with a deed before it."""
    return f"__import__('time') if not ({condition}) else {deed}; {MAKE}"


def test_the_call_that_is_sabotaged_is_there() -> None:
    assert (ROOT / SCORER).read_text().count(MAKE) == 1


def starts(stack: Stack) -> float:
    """How often a scorer process began to score, since the operator was opened."""
    return metric(stack, "liveshelf_scorer_starts_total")


def batch_seconds(stack: Stack) -> tuple[float, float]:
    """Seconds of all micro-batches, and how many."""
    return metric(stack, "liveshelf_batch_seconds_sum"), metric(stack, "liveshelf_batch_seconds_count")


def metric(stack: Stack, name: str) -> float:
    text = httpx.get(f"http://127.0.0.1:{stack.settings.job.metrics_port}/metrics").text
    return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1])


def kills_the_scorer(stack: Stack, begun: float, user: str) -> Strike:
    """An event of a user whom the scorer does not outlive; it struck where another scorer began."""
    time.sleep(max(0.0, begun + 6 - time.monotonic()))
    before, at = starts(stack), time.monotonic()
    stack.topics.publish([good_event(int(time.time() * 1000), event_id=user, user_id=user, item_id="22423")])
    eventually(lambda: starts(stack) > before, 30)
    return Strike("a deadly request", f"scorer starts {before:.0f}, then {starts(stack):.0f}", at, time.monotonic())


@pytest.mark.slow
def test_a_scorer_process_that_is_killed_is_started_again(stack: Stack, demo_bundle: Path, trial: Trial) -> None:
    stack.serve(demo_bundle)
    before = starts(stack)
    trial("scorer killed", Fault("kill", "scorer"), seconds=20, restarts=False)
    assert starts(stack) - before == 1


@pytest.mark.manual
def test_a_scorer_process_that_stops_is_killed_and_replaced(stack: Stack, demo_bundle: Path, trial: Trial) -> None:
    stack.serve(demo_bundle)
    before = starts(stack)
    trial("scorer stopped for 5 s", Fault("pause", "scorer", for_s=5), seconds=30, restarts=False)
    assert starts(stack) == before, "it went on by itself"
    trial("scorer stopped for ever", Fault("pause", "scorer", for_s=20), seconds=40, restarts=False)
    assert starts(stack) - before == 1


@pytest.mark.manual
def test_a_request_that_segfaults_kills_its_process_twice_and_no_more(
    stack: Stack, demo_bundle: Path, trial: Trial
) -> None:
    """A null pointer is read in native code while one user is scored, among the events of others."""
    guilty = f"segfault{time.time_ns()}"
    deed = sabotage("any(r.user_id.startswith('segfault') for r in requests)", "__import__('ctypes').string_at(0)")
    stack.serve_sabotaged(demo_bundle, SCORER, MAKE, deed)
    start, before = stack.topics.ends(RECOMMENDATIONS), starts(stack)

    trial(
        "a request that segfaults",
        during=lambda begun: kills_the_scorer(stack, begun, guilty),
        sabotaged=True,
        seconds=30,
        restarts=False,
    )
    made, _ = eventually(lambda: stack.topics.newest_lists(start).get(guilty), 60)
    assert (made["version"], made["source"]) == (1, "neighbours"), "the guilty has a list all the same"
    assert 1 <= starts(stack) - before <= 2, "once where nobody else was in its batch"


@pytest.mark.manual
def test_a_scorer_that_exits_is_replaced(stack: Stack, demo_bundle: Path, trial: Trial) -> None:
    deadly = f"deadly{time.time_ns()}"
    deed = sabotage("any(r.user_id.startswith('deadly') for r in requests)", "__import__('sys').exit()")
    stack.serve_sabotaged(demo_bundle, SCORER, MAKE, deed)
    start = stack.topics.ends(RECOMMENDATIONS)
    trial(
        "scorer exits",
        during=lambda begun: kills_the_scorer(stack, begun, deadly),
        sabotaged=True,
        seconds=20,
        restarts=False,
    )
    assert eventually(lambda: stack.topics.newest_lists(start).get(deadly))[0]["source"] == "neighbours"


@pytest.mark.manual
def test_a_slow_scorer_delays_lists_and_loses_none(stack: Stack, demo_bundle: Path, trial: Trial) -> None:
    stack.serve_sabotaged(demo_bundle, SCORER, MAKE, sabotage("True", "__import__('time').sleep(0.3)"))

    def measure(begun: float) -> Strike:
        time.sleep(max(0.0, begun + 5 - time.monotonic()))
        first = batch_seconds(stack)
        time.sleep(5)
        seconds, batches = (b - a for a, b in zip(first, batch_seconds(stack), strict=True))
        slow = batches and seconds / batches >= 0.3
        return struck_now("slow scorer", f"{1000 * seconds / batches:.0f} ms a batch" if slow else "", lasts=True)

    trial("scorer takes 300 ms a batch", during=measure, sabotaged=True, seconds=20, rate=200, restarts=False)


def test_a_model_with_wrong_scores_is_refused(stack: Stack, job: str, demo_bundle: Path, tmp_path: Path) -> None:
    """The weights are others than those whose golden scores the bundle carries; its sums are right."""
    wrong = write_bundle(tmp_path / "wrong")
    scores = np.load(wrong / "golden_scores.npy")
    np.save(wrong / "golden_scores.npy", scores + 0.5)
    write_manifest(wrong)
    said = stack.liveshelf("submit", "--bundle", str(wrong), ok=False).stderr
    assert "golden" in said
    record({"name": "a model with wrong scores", "note": "refused by submit", "verdict": Verdict.KEPT})
