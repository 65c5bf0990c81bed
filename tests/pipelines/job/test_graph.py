"""The job's graph as Flink gets it: its operators' ids decide which savepoints restore."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.flink.flink_home import build_flink_home
from deploy.local.jars import CONNECTOR
from deploy.local.layout import Layout
from operators.settings import load_settings
from pipelines.submission.savepoint_operators import DEMAND, FEEDBACK, RETIRED, STATE_ID
from tests.places import ROOT

JARS = Layout.of(load_settings()).jars
# of the graph that Flink's planner made of the job's SQL up to commit 44dc39a, as that commit's savepoints have them
IDS_OF_SQL = {
    "Source: events": "cbc357ccb763df2852fee8c4fc7d55f2",
    "Source: erasures": "6cdc5bb954874d922eaee11a8e7b5dd5",
    "lists: Writer": "17bf6e63e4706f14081def4b3ea1b6d8",
    "lists: Committer": "123f961ddb60a58232647785f51fa75e",
    "dead_letters: Writer": "63cd2c02cdfce92ceb60648928afd990",
    "dead_letters: Committer": "6f7cd0bafb2dd2e29854058fc390f678",
}
IDS = {
    "Source: events": "0c80f7e50ab54b30f6a2580946f9e942",
    "Source: erasures": "d85d9525c56f70339dedb2bbfd5b7ea2",
    "lists: Writer": "ee71ae2074dab6424f714964de65e530",
    "lists: Committer": "73fb592632947084cc62380b1c3897e3",
    "dead_letters: Writer": "61b83f04131e6ed037875c92e5c7446f",
    "dead_letters: Committer": "14958e03bb5ccaf36265b735d7ec3bc2",
}


def test_the_jar_is_compiled_against_the_connector_of_the_stack() -> None:
    pom = (ROOT / "pipelines" / "job" / "bridge" / "pom.xml").read_text()
    name, version = CONNECTOR.removesuffix(".jar").split("-kafka-")
    assert f"<artifactId>{name}-kafka</artifactId>\n      <version>{version}</version>" in pom


@pytest.mark.slow
@pytest.mark.usefixtures("jars")
@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_each_operator_is_found_in_savepoints_of_before_and_keeps_its_id_from_now_on(
    tmp_path: Path, delivery: str
) -> None:
    operators = operators_of(tmp_path, delivery)
    ids = {name: operator_ids for name, _, operator_ids in operators}
    assert ids.pop("refresh") == [STATE_ID]
    assert {name: old for name, (_, old) in ids.items()} == IDS_OF_SQL
    assert {name: new for name, (new, _) in ids.items()} == IDS
    assert not {*RETIRED} & {one for operator_ids in ids.values() for one in operator_ids}
    vertices = {name: vertex for name, vertex, _ in operators}
    assert vertices["lists: Writer"] == vertices["dead_letters: Committer"] == vertices["refresh"], "one chain"


@pytest.mark.slow
@pytest.mark.usefixtures("jars")
def test_the_feedback_join_runs_in_the_operators_thread_and_changes_no_other_id(tmp_path: Path) -> None:
    operators = operators_of(tmp_path, "at-least-once", "feedback")
    ids = {name: operator_ids for name, _, operator_ids in operators}
    joined = {name: ids.pop(name) for name in ("feedback", "examples: Writer", "examples: Committer")}
    assert joined == {name: [one] for name, one in zip(joined, FEEDBACK.ids, strict=True)}
    del ids["feedback entries"]  # it has no state
    assert {name: new for name, (new, *_) in ids.items()} == IDS | {"refresh": STATE_ID}
    vertices = {name: vertex for name, vertex, _ in operators}
    assert vertices["feedback"] == vertices["refresh"] == vertices["examples: Committer"], "one chain"


@pytest.mark.slow
@pytest.mark.usefixtures("jars")
@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_demand_has_a_thread_of_its_own_and_changes_no_other_id(tmp_path: Path, delivery: str) -> None:
    operators = operators_of(tmp_path, delivery, "demand")
    ids = {name: operator_ids for name, _, operator_ids in operators}
    counting = {name: ids.pop(name) for name in ("demand", "items: Writer", "items: Committer")}
    assert counting == {name: [one] for name, one in zip(counting, DEMAND.ids, strict=True)}
    del ids["demand entries"]  # it has no state
    assert {name: new for name, (new, *_) in ids.items()} == IDS | {"refresh": STATE_ID}
    vertices = {name: vertex for name, vertex, _ in operators}
    assert vertices["demand"] == vertices["items: Writer"] != vertices["refresh"] == vertices["demand entries"]


def operators_of(folder: Path, delivery: str, *optional: str) -> list[tuple[str, str, list[str]]]:
    """Name, vertex and ids of each operator."""
    layout = Layout(folder, JARS)
    build_flink_home(layout)
    # PyFlink notes the folders of its own wheel in the variables of a process that imports it
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLINK_")}
    environment |= {"FLINK_HOME": str(layout.flink_home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.pipelines.job.graph_of_job", delivery, *optional]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
