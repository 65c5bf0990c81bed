"""The scorer process learns which experiments run."""

from pathlib import Path
from typing import Any

import msgspec

from operators.experiments.plan import Arm, ExperimentPlan, plan_of_shares
from operators.lists.encoded_list import Encoded
from tests.pipelines.scoring.scorer_requests import Start, ask, asked

SIZES = ExperimentPlan(
    name="sizes", arms=(Arm(name="control", share=0.0), Arm(name="short", share=1.0, list_size=2)), layer="lists"
)


def made(answer: Encoded | Exception) -> dict[str, Any]:
    assert isinstance(answer, Encoded), answer
    read: dict[str, Any] = msgspec.json.decode(answer.value)
    return read


def test_lists_follow_what_starts_and_stops_and_a_new_process_is_told_again(start: Start, bundle: Path) -> None:
    running: list[tuple[ExperimentPlan, ...]] = [()]
    process = start(bundle, running=lambda: running[0])
    process.ready()
    before = made(ask(process, asked("u1"))[0])
    assert before["experiment"] is None and len(before["items"]) > 2
    running[0] = (SIZES, plan_of_shares("banner", {"a": 1.0, "b": 0.0}))
    (answer,) = ask(process, asked("u1"))
    during = made(answer)
    assert during["experiment"] == {"name": "sizes", "arm": "short"} and len(during["items"]) == 2
    assert during["experiments"] == [{"name": "sizes", "arm": "short"}, {"name": "banner", "arm": "a"}]
    assert isinstance(answer, Encoded) and [one.name for one in answer.experiments] == ["sizes", "banner"]
    process._end()
    assert len(made(ask(process, asked("u1"))[0])["items"]) == 2, "another process"
    running[0] = ()
    after = made(ask(process, asked("u1"))[0])
    assert (after["experiment"], after["items"]) == (None, before["items"])
