import json
from pathlib import Path

import httpx

from model_export.training.train_metrics import METRICS, TrainMetrics


def test_a_training_is_scraped_while_it_runs_and_is_no_dead_target_afterwards(tmp_path: Path) -> None:
    target = tmp_path / "targets" / "trainer.json"
    metrics = TrainMetrics(19590, target)
    for number, name in enumerate(METRICS):
        metrics.report(name, number)
    (announced,) = json.loads(target.read_text())
    assert announced["labels"] == {"job": "trainer"}
    text = httpx.get(f"http://{announced['targets'][0]}/metrics").text
    assert "liveshelf_train_loss 1.0" in text
    metrics.close()
    assert not target.exists()
