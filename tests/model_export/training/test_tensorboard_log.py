"""What TensorBoard reads of a training."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model_export.training.fit_options import FitOptions
from model_export.training.tensorboard_log import TensorBoardLog, picture
from model_export.training.train import train
from model_export.training.train_options import TrainingData, TrainOptions
from tests.model_export.training.test_training import circle


@pytest.mark.slow
def test_tensorboard_reads_every_epoch_and_the_items(tmp_path: Path) -> None:
    passed_on: list[str] = []
    board = TensorBoardLog(tmp_path / "board", lambda name, _: passed_on.append(name))
    options = TrainOptions(name="circle", epochs=3, fit=FitOptions(width=16, batch=64, bf16_products=False))
    train(TrainingData(circle(tmp_path)), tmp_path / "bundle", options,
        log=lambda _: None, report=board.report, show_items=board.items,
    )  # fmt: skip
    board.close()
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    losses = [(scalar.step, scalar.value) for scalar in events.Scalars("loss")]
    assert [step for step, _ in losses] == [1, 2, 3] and losses[2][1] < losses[0][1]
    assert passed_on.count("epoch") == 3
    names = next((tmp_path / "board").rglob("metadata.tsv")).read_text().split()
    assert sorted(names) == sorted(f"p{n}" for n in range(30))


def test_the_picture_lies_along_the_directions_of_most_variance() -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32) * [9, 1, 1, 1, 5, 1, 1, 1]
    axes = picture(vectors, [f"i{n}" for n in range(200)]).axes[0]
    share = 81 / (81 + 25 + 6)
    assert abs(float(axes.get_xlabel().split()[2].rstrip("%")) / 100 - share) < 0.06
    assert axes.get_ylabel().startswith("second")
