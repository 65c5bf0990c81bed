"""The operator's copy of the topic of experiments."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from operators.configuration.shop_settings import ExperimentSettings
from operators.experiments.assignment import Experiments
from operators.experiments.experiment_rows import ExperimentRecord
from operators.experiments.plan import plan_of_shares
from operators.settings import JobSettings, Settings
from pipelines.job import tables
from pipelines.job.tables import open_experiments
from tests.operators.kafka_io.fake_topic import Topic, until


def record(name: str, stopped_at: int | None = None) -> str:
    plan = plan_of_shares(name, {"a": 0.5, "b": 0.5}, layer=name)
    return msgspec.json.encode(ExperimentRecord(plan=plan, started_at=1, stopped_at=stopped_at)).decode()


def test_what_runs_follows_the_topic_and_is_there_when_the_broker_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, settings = Topic(), Settings(job=JobSettings(tables_dir=str(tmp_path)))
    monkeypatch.setattr(tables, "kafka_consumer", lambda options: topic.connect())
    monkeypatch.setattr(tables, "EXPERIMENTS_SECONDS", 0.2)

    def opened(experiments: Experiments, refused: Counter[str]):  # type: ignore[no-untyped-def]
        return open_experiments(settings, 0, experiments, refused)

    experiments, refused = Experiments(ExperimentSettings()), Counter[str]()
    topic.append("sizes", record("sizes"))
    table = opened(experiments, refused)
    arm = experiments.label("u1")
    assert arm in ("a", "b"), "it is known when the operator opens"
    topic.append("sizes", "garbage")
    topic.append("mix", record("mix"))
    until(lambda: len(experiments.plans) == 2)
    assert refused == {"not_a_plan": 1}
    topic.append("mix", record("mix", stopped_at=5))
    until(lambda: len(experiments.plans) == 1)
    table.close()
    topic.broken = True
    again = Experiments(ExperimentSettings())
    opened(again, refused).close()
    assert again.label("u1") == arm, "by the local copy"
