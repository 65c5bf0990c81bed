"""Starting and stopping experiments, and the plan of docs/experiments.md."""

import re
import tomllib
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from operators.configuration.shop_settings import ExperimentSettings
from operators.errors import LiveshelfError, SettingsError
from operators.experiments.experiment_rows import ExperimentRecord
from operators.experiments.plan import ExperimentPlan, read_plan
from pipelines.topics.experiment_log import Change, newest_of, started, stopped
from tests.places import ROOT

NONE, NOW = ExperimentSettings(), Change(2000, "anna@shop", "why not")


def plan(name: str = "sizes", layer: str = "lists", **fields: Any) -> ExperimentPlan:
    arms = [{"name": "control", "share": 0.5}, {"name": "other", "share": 0.5} | fields.pop("arm", {})]
    return read_plan({"name": name, "layer": layer, "arms": arms} | fields)


def written(record: ExperimentRecord) -> SimpleNamespace:
    return SimpleNamespace(key=record.plan.name.encode(), value=msgspec.json.encode(record), headers=[])


def test_an_experiment_starts_and_stops_and_its_name_is_used() -> None:
    record = started(plan(), {}, NONE, NOW)
    assert (record.started_at, record.stopped_at, record.who, record.why) == (2000, None, "anna@shop", "why not")
    ended = stopped("sizes", {"sizes": record}, Change(3000, "bea@shop", "enough"))
    assert (ended.plan, ended.started_at, ended.stopped_at, ended.who) == (record.plan, 2000, 3000, "bea@shop")
    with pytest.raises(SettingsError, match="choose another name: its examples would mix"):
        started(plan(layer="elsewhere"), {"sizes": ended}, NONE, NOW)


def test_the_topic_is_read_to_the_newest_readable_record_of_each_name() -> None:
    first, other = started(plan(), {}, NONE, NOW), started(plan("mix", "mix"), {}, NONE, Change(1000, "", ""))
    ended = stopped("sizes", {"sizes": first}, NOW)
    garbage = SimpleNamespace(key=b"sizes", value=b"\xff", headers=[])
    tombstone = SimpleNamespace(key=b"mix", value=None, headers=[])
    records = newest_of([written(first), written(ended), written(other), garbage, tombstone])
    assert records == {"mix": other, "sizes": ended} and [*records] == ["mix", "sizes"]


@pytest.mark.parametrize(
    ("second", "own", "said"),
    [
        (plan("b", end=0.5), NONE, "use another layer"),
        (plan("b", "else", salt="sizes"), NONE, "different salts"),
        (plan("b", "default"), ExperimentSettings(name="own", arms={"a": 0.5, "b": 0.5}), "do not overlap"),
        (plan("own", "else"), ExperimentSettings(name="own", arms={"a": 0.5, "b": 0.5}), "none has had"),
        (plan("b", "else", arm={"list_size": 3}), NONE, "list_size in the experiments of one layer"),
        (plan("b", "else", arm={"model": "next"}), NONE, "differ in diversity, list_size; came model in other"),
        (plan("b", "else", arm={"exploration": 0.1}), NONE, "this job would ignore it"),
        (plan("b", "else", arm={"rules": ["new"]}), NONE, "this job would ignore it"),
    ],
)
def test_what_cannot_run_beside_the_others_is_refused(
    second: ExperimentPlan, own: ExperimentSettings, said: str
) -> None:
    records = {"sizes": started(plan(arm={"list_size": 40}), {}, NONE, NOW)}
    with pytest.raises(SettingsError, match=said):
        started(second, records, own, NOW)


def test_after_a_stop_the_layer_is_free() -> None:
    ended = stopped("sizes", {"sizes": started(plan(), {}, NONE, NOW)}, NOW)
    assert started(plan("b"), {"sizes": ended}, NONE, NOW).plan.name == "b"


def test_only_what_runs_can_be_stopped() -> None:
    record = started(plan(), {}, NONE, NOW)
    with pytest.raises(LiveshelfError, match="a running experiment: sizes; came other"):
        stopped("other", {"sizes": record}, NOW)
    with pytest.raises(LiveshelfError, match="none runs; came sizes, which has been stopped"):
        stopped("sizes", {"sizes": stopped("sizes", {"sizes": record}, NOW)}, NOW)


def test_the_plans_of_the_docs_start() -> None:
    page = (ROOT / "docs" / "experiments.md").read_text()
    plans = [read_plan(tomllib.loads(block)) for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)]
    assert plans
    records: dict[str, ExperimentRecord] = {}
    for one in plans:
        records[one.name] = started(one, records, NONE, NOW)
