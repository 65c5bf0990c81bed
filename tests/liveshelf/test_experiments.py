"""`liveshelf experiments` from its words to its exit code, over a topic that the test holds."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from liveshelf import main
from operators.records.contracts import EXAMPLES, EXPERIMENTS
from pipelines.provenance import audit_log
from pipelines.reports import experiment_examples, experiment_history
from pipelines.topics import experiment_log
from tests.pipelines.reports.test_experiment_examples import record

PLAN = """
name = "longer"
layer = "lists"
metric = "purchase"
arms = [{ name = "control", share = 0.5 }, { name = "long", share = 0.5, list_size = 40 }]
"""


class Broker:
    """Topics in memory, and what goes into the audit log."""

    def __init__(self) -> None:
        self.log: dict[str, list[Any]] = {EXPERIMENTS: [], EXAMPLES: []}
        self.acts: list[tuple[str, dict[str, Any]]] = []

    def read(self, settings: object, topic: str, since_ms: int | None = None) -> list[Any]:
        return [one for one in self.log[topic] if one.timestamp >= (since_ms or 0)]

    def send(self, topic: str, key: bytes, value: bytes) -> Any:
        self.log[topic].append(SimpleNamespace(key=key, value=value, headers=[], timestamp=0))
        return SimpleNamespace(get=lambda seconds: None)

    def close(self) -> None: ...


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    for module in (experiment_log, experiment_examples, experiment_history):
        monkeypatch.setattr(module, "read_topic", made.read)
    monkeypatch.setattr(experiment_log, "new_producer", lambda settings: made)
    monkeypatch.setattr(audit_log, "append", lambda settings, verb, what: made.acts.append((verb, what)))
    return made


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = tmp_path / "plan.toml"
    file.write_text(PLAN)
    return file


def liveshelf(*words: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(main.app, ["experiments", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


def states() -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(liveshelf("list", "--json").stdout)}


def test_an_experiment_is_started_listed_and_stopped_and_each_act_is_in_the_audit_log(
    broker: Broker, plan: Path
) -> None:
    started = json.loads(liveshelf("start", plan, "--why", "see", "--json").stdout)
    assert (started["name"], started["state"], started["stopped_at"]) == ("longer", "running", None)
    assert started["arms"] == "control 50 %, long 50 % (list_size 40)"
    assert states() == {"longer": "running"}
    stopped = json.loads(liveshelf("stop", "longer", "--json").stdout)
    assert stopped["state"] == "stopped" and stopped["stopped_at"] >= stopped["started_at"]
    assert states() == {"longer": "stopped"} and {one.key for one in broker.log[EXPERIMENTS]} == {b"longer"}
    assert [(verb, what["experiment"]) for verb, what in broker.acts] == [
        ("experiments start", "longer"),
        ("experiments stop", "longer"),
    ]
    assert broker.acts[0][1]["why"] == "see"


def test_what_is_refused_leaves_topic_and_audit_log_as_they_are(broker: Broker, plan: Path, tmp_path: Path) -> None:
    liveshelf("start", plan)
    for text in (PLAN, PLAN.replace("longer", "other"), PLAN.replace("share = 0.5 }", "share = 1.5 }"), "name ="):
        other = tmp_path / "other.toml"
        other.write_text(text)
        assert isinstance(liveshelf("start", other, code=1).exception, Exception)
    liveshelf("stop", "other", code=1)
    assert len(broker.log[EXPERIMENTS]) == len(broker.acts) == 1


def test_the_list_says_which_plan_of_another_client_does_not_run(broker: Broker, plan: Path) -> None:
    liveshelf("start", plan)
    fields = {"plan": {"name": "late", "layer": "lists", "arms": [{"name": n, "share": 0.5} for n in "ab"]}}
    broker.send(EXPERIMENTS, b"late", json.dumps(fields | {"started_at": 2**47}).encode())
    assert states() == {"longer": "running", "late": "refused: overlapping_parts"}
    assert "use another layer" in " ".join(liveshelf("list").stderr.replace("│", " ").split())


def test_the_report_takes_the_plan_of_the_topic_and_the_history_of_the_examples(broker: Broker, plan: Path) -> None:
    started_at = json.loads(liveshelf("start", plan, "--json").stdout)["started_at"]
    for number in range(20):
        user, arm = f"u{number}", "control" if number % 2 else "long"
        for name, timestamp, experiment in (
            ("before", started_at - 1000, None),
            ("after", started_at + 1000, {"name": "longer", "arm": arm}),
        ):
            one = record(
                example_id=f"{user}-{name}",
                user_id=user,
                shown_at=started_at + 1000,
                experiment=experiment,
                label="purchase" if number % 3 == 0 else "click",
            )
            broker.log[EXAMPLES].append(SimpleNamespace(value=one.value, timestamp=timestamp))
    plain = json.loads(liveshelf("report", "longer", "--json").stdout)
    assert (plain["metric"], plain["arms"]["long"]["n"], plain["arms"]["long"]["conversions"]) == ("purchase", 10, 4)
    assert plain["arms"]["long"]["difference"]["adjusted"] is False
    adjusted = json.loads(liveshelf("report", "longer", "--history-days", "3", "--json").stdout)
    assert adjusted["arms"]["long"]["difference"]["adjusted"] is True
    liveshelf("report", "longer", "--metric", "click", code=2)
    liveshelf("report", "never-started", code=1)
    liveshelf("report", "longer", "--plan", plan, "--history-days", "3", code=2)


def test_a_report_with_the_history_of_a_file(broker: Broker, plan: Path, tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text("anna,3\n")
    liveshelf("start", plan)
    one = record(experiment={"name": "longer", "arm": "long"}, shown_at=2**50)
    broker.log[EXAMPLES].append(SimpleNamespace(value=one.value, timestamp=2**50))
    answer = json.loads(liveshelf("report", "longer", "--history", file, "--json").stdout)
    assert answer["arms"]["long"]["difference"]["adjusted"] is True
    liveshelf("report", "longer", "--history", file, "--history-days", "2", code=2)


def test_the_picture_shows_the_intervals_of_the_report(
    broker: Broker, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    from pipelines.reports import experiment_plot

    drawn = list[Any]()
    picture = SimpleNamespace(savefig=lambda *words, **options: None)
    monkeypatch.setattr(experiment_plot, "plot", lambda looks: drawn.extend(looks) or picture)
    file = tmp_path / "history.csv"
    file.write_text("anna,3\n")
    liveshelf("start", plan)
    one = record(experiment={"name": "longer", "arm": "long"}, shown_at=2**50)
    broker.log[EXAMPLES].append(SimpleNamespace(value=one.value, timestamp=2**50))
    liveshelf("report", "longer", "--history", file, "--plot", tmp_path / "longer.png")
    assert [look.arms["long"].difference.adjusted for look in drawn] == [True]
