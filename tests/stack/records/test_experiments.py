"""Experiments that start and stop on the running job: arms within seconds, other lists, the same arms after a kill."""

import json
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults.fault import Fault
from operators.experiments.layers import Layers
from operators.experiments.plan import read_plan
from operators.records.contracts import EXPERIMENTS
from tests.running_stack import Stack
from tests.stack.topics import eventually

pytestmark = pytest.mark.slow
WITHIN_S = 10  # from the verb to lists that follow
USUAL, SHORT = 20, 7
ITEMS = ("85123A", "22423", "90019A")  # of the demo's bundle


class Shoppers:
    """Shoppers of this test alone, and their newest lists."""

    def __init__(self, stack: Stack, count: int = 40) -> None:
        self._stack, self._clicks = stack, 0
        self.names = [f"exp{time.time_ns()}-{number}" for number in range(count)]

    def lists(self) -> dict[str, dict[str, Any]]:
        """Each views an item; the list of that event, of each."""
        self._clicks += 1
        events = [
            {
                "event_id": f"{user}-{self._clicks}",
                "event_type": "view",
                "event_time": int(time.time() * 1000),
                "user_id": user,
                "item_id": ITEMS[self._clicks % len(ITEMS)],
            }
            for user in self.names
        ]
        wanted = {event["event_id"] for event in events}
        self._stack.topics.publish(events)

        def made() -> dict[str, dict[str, Any]] | None:
            newest = {user: one for user, (one, _) in self._stack.topics.newest_lists().items() if one is not None}
            mine = {user: newest[user] for user in self.names if user in newest}
            return mine if {one["event_id"] for one in mine.values()} == wanted else None

        answer: dict[str, dict[str, Any]] = eventually(made, 30)
        return answer


def arms(lists: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    return {user: made["experiment"] and made["experiment"]["arm"] for user, made in lists.items()}


@pytest.fixture
def plan(stack: Stack, demo_bundle: Path, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A plan with an arm of other lists, and its file; whatever happens, nothing runs afterwards."""
    stack.serve(demo_bundle)
    file, name = tmp_path / "plan.toml", f"short-{time.time_ns()}"
    file.write_text(
        f'name = "{name}"\nlayer = "lists"\n'
        '[[arms]]\nname = "control"\nshare = 0.5\n'
        f'[[arms]]\nname = "short"\nshare = 0.5\nlist_size = {SHORT}\ndiversity = 0.9\n'
    )
    yield tomllib.loads(file.read_text()) | {"file": str(file)}
    for row in json.loads(stack.liveshelf("experiments", "list", "--json").stdout):
        if row["state"] == "running":
            stack.liveshelf("experiments", "stop", row["name"])


def test_an_experiment_runs_from_its_start_to_its_stop_and_through_a_kill(
    stack: Stack, demo_bundle: Path, plan: dict[str, Any]
) -> None:
    job = stack.serve(demo_bundle)
    shoppers, name = Shoppers(stack), plan["name"]
    assert {*arms(shoppers.lists()).values()} == {None}
    started = time.monotonic()
    stack.liveshelf("experiments", "start", plan["file"], "--why", "a test")
    layers = Layers([read_plan({field: value for field, value in plan.items() if field != "file"})])
    expected = {user: layers.arms_of(user)[name].name for user in shoppers.names}
    eventually(lambda: arms(shoppers.lists()) == expected, WITHIN_S)
    print(f"arms {time.monotonic() - started:.1f} s after the verb began")
    for made in shoppers.lists().values():
        arm = made["experiment"]["arm"]
        assert len(made["items"]) == (SHORT if arm == "short" else USUAL) and "experiments" not in made
    refused = stack.liveshelf("experiments", "start", plan["file"], ok=False)
    assert "choose another name" in " ".join(refused.stderr.replace("│", " ").split())

    restarts = stack.restarts(job)
    strike = stack.injector.inject(Fault("kill", "taskmanager"))
    assert not strike.failure, strike.failure
    eventually(lambda: stack.restarts(job) > restarts, 60)
    assert arms(shoppers.lists()) == expected, "the first lists after the restart too"

    stack.liveshelf("experiments", "stop", name)
    eventually(lambda: {*arms(shoppers.lists()).values()} == {None}, WITHIN_S)
    assert {len(made["items"]) for made in shoppers.lists().values()} == {USUAL}
    acts = json.loads(stack.liveshelf("audit", "list", "--last", "5", "--json").stdout)
    mine = [act["verb"] for act in acts if act["what"].get("experiment") == name]
    assert mine == ["experiments start", "experiments stop"]


def test_what_another_client_writes_is_refused_by_the_job_and_harms_nothing(stack: Stack, plan: dict[str, Any]) -> None:
    stack.liveshelf("experiments", "start", plan["file"])
    late = {"name": f"late-{time.time_ns()}", "layer": "lists", "arms": plan["arms"]}
    stack.topics.send(EXPERIMENTS, late["name"], {"plan": late, "started_at": int(time.time() * 1000)})
    stack.topics.send(EXPERIMENTS, plan["name"], b"\xff")
    stack.topics.send(EXPERIMENTS, plan["name"], None)
    stack.topics.producer.flush()
    shoppers = Shoppers(stack)
    time.sleep(WITHIN_S)
    assert {made["experiment"]["name"] for made in shoppers.lists().values()} == {plan["name"]}
    states = {row["name"]: row["state"] for row in json.loads(stack.liveshelf("experiments", "list", "--json").stdout)}
    assert states[late["name"]] == "refused: overlapping_parts" and states[plan["name"]] == "running"
    stack.topics.send(EXPERIMENTS, late["name"], {"plan": late, "started_at": 1, "stopped_at": 2})
    stack.topics.producer.flush()
