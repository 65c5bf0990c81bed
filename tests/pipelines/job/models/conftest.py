"""An operator with rollouts, for the tests of what it serves."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operators.kafka_io.compacted_table import CompactedTable
from operators.rollout import rollout_follower
from operators.rollout.rollout import Rollout
from operators.rollout.rollout_rows import RolloutRows
from operators.settings import Settings
from pipelines.job.models import served_models
from tests.operators.kafka_io.fake_topic import TOPIC
from tests.pipelines.job.models.operator_with_rollouts import Operator, Serving, Table


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    Serving.started, Serving.waits, Serving.follows = [], {}, lambda: None
    made: Any = None

    def rollout_table(settings: Settings, subtask: int) -> CompactedTable[Rollout]:
        shutil.rmtree(tmp_path / "models", ignore_errors=True)
        return CompactedTable(TOPIC, tmp_path / "models", lambda: made.topic.connect(), RolloutRows())

    for name, value in {
        "Serving": Serving,
        "catalogue_table": lambda *_: Table(),
        "demand_table": lambda *_: Table(),
        "rollout_table": rollout_table,
        "bundles_folder": lambda *_: tmp_path / "cache",
        "ROLLOUT_SECONDS": 5,
    }.items():
        monkeypatch.setattr(served_models, name, value)
    monkeypatch.setattr(rollout_follower, "RETRY_S", 0.05)
    # a line-up is adopted between two batches; here nobody sends one
    monkeypatch.setattr(served_models.ScorerFleet, "_close_later", lambda self, ones: [one.close() for one in ones])
    made = Operator(tmp_path)
    yield made
    made.models.close()
