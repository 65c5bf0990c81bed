"""Who hears of a training, and when."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from model_export.training import watched_training
from model_export.training.process_group import ProcessGroup
from model_export.training.train_options import TrainingData, TrainOptions
from model_export.training.watched_training import Watch, train_watched


class Record:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.facts = {"run_id": "r"}
        self.calls: list[Any] = []

    def begin(self, files: Sequence[Path]) -> "Record":
        self.calls.append([file.name for file in files])
        return self

    def failed(self, error: BaseException) -> None:
        self.calls.append(str(error))

    def completed(self, manifest: dict[str, Any]) -> None:
        self.calls.append(manifest["name"])


@pytest.fixture
def source(tmp_path: Path) -> TrainingData:
    (tmp_path / "events.jsonl").touch()
    return TrainingData(events=tmp_path / "events.jsonl", catalogue=tmp_path / "none.jsonl")


def run_watched(record: Record, source: TrainingData, tmp_path: Path) -> dict[str, Any] | None:
    watch = Watch(log=lambda _: None, metrics_port=19590, targets=tmp_path / "trainer.json", lineage=record.begin)
    return train_watched(source, tmp_path / "bundle", TrainOptions(), "cpu", watch)


def test_a_training_is_recorded_and_watched_while_it_runs(
    monkeypatch: pytest.MonkeyPatch, source: TrainingData, tmp_path: Path
) -> None:
    def train(*_: Any, lineage: dict[str, Any], **options: Any) -> dict[str, Any]:
        assert lineage == {"run_id": "r"} and options["group"] == ProcessGroup(device=torch.device("cpu"))
        assert (tmp_path / "trainer.json").is_file(), "Prometheus finds it"
        return {"name": "mine"}

    monkeypatch.setattr(watched_training, "train", train)
    record = Record()
    assert run_watched(record, source, tmp_path) == {"name": "mine"}
    assert record.calls == [["events.jsonl"], "mine"], "of the files those that are there"
    assert not (tmp_path / "trainer.json").exists()


def test_a_training_that_fails_is_recorded_and_no_longer_watched(
    monkeypatch: pytest.MonkeyPatch, source: TrainingData, tmp_path: Path
) -> None:
    def train(*_: Any, **__: Any) -> dict[str, Any]:
        raise KeyboardInterrupt("enough")

    monkeypatch.setattr(watched_training, "train", train)
    record = Record()
    with pytest.raises(KeyboardInterrupt):
        run_watched(record, source, tmp_path)
    assert record.calls == [["events.jsonl"], "enough"]
    assert not (tmp_path / "trainer.json").exists()
