"""A training that is killed goes on; a checkpoint of something else does not; a full disk costs no training."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.training.fit import fit
from model_export.training.fit_options import FitOptions
from model_export.training.training import Training
from model_export.training.training_checkpoint import TrainingCheckpoint
from tests.model_export.data.test_windows import histories

OPTIONS = FitOptions(width=8, window=8, dropout=0.2, epochs=4, batch=256, bf16_products=False)
TRAIN = histories(12, 20, 9, 15)


def train_model(
    checkpoint: TrainingCheckpoint | None, options: FitOptions = OPTIONS, log_lines: list[str] | None = None
):
    lines = [] if log_lines is None else log_lines
    return fit(Training(TRAIN, 100, options), None, lines.append, checkpoint=checkpoint).model.state_dict()


class DiesAfter(TrainingCheckpoint):
    """Ends the training after so many epochs."""

    def __init__(self, file: Path, epochs: int) -> None:
        super().__init__(file, print)
        self._epochs_left = epochs

    def save(self, key: str, state: dict) -> None:
        super().save(key, state)
        self._epochs_left -= 1
        if not self._epochs_left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_a_resumed_training_ends_as_one_that_was_never_stopped(tmp_path: Path, average: float) -> None:
    options = replace(OPTIONS, average=average)
    with pytest.raises(KeyboardInterrupt):
        train_model(DiesAfter(tmp_path / "c", 2), options)
    log_lines: list[str] = []
    resumed = train_model(TrainingCheckpoint(tmp_path / "c", log_lines.append), options, log_lines)
    assert log_lines[0] == "going on after epoch 2" and len(log_lines) == 3
    uninterrupted = train_model(None, options)
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in uninterrupted)


def test_a_checkpoint_of_other_settings_or_a_broken_one_is_not_gone_on_with(tmp_path: Path) -> None:
    log_lines: list[str] = []
    train_model(TrainingCheckpoint(tmp_path / "c", log_lines.append))
    train_model(TrainingCheckpoint(tmp_path / "c", log_lines.append), replace(OPTIONS, seed=8))
    assert "other data or settings" in log_lines[-1]
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:1000])
    train_model(TrainingCheckpoint(tmp_path / "c", log_lines.append))
    assert "cannot be read" in log_lines[-1]


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    log_lines: list[str] = []
    monkeypatch.setattr(torch, "save", full)
    fitted = train_model(TrainingCheckpoint(tmp_path / "c", log_lines.append))
    assert np.isfinite(fitted["items.weight"].numpy()).all()
    assert len(log_lines) == OPTIONS.epochs and "free the disk" in log_lines[0]
    assert list(tmp_path.iterdir()) == []


KILLED = """
from pathlib import Path
from tests.model_export.training.test_fit import *
train_model(TrainingCheckpoint(Path({file!r}), print), replace(OPTIONS, epochs=500), [])
"""


def test_kill_9_leaves_a_checkpoint_that_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "c"
    child = subprocess.Popen([sys.executable, "-c", KILLED.format(file=str(file))])
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)  # it writes all the time: the kill falls into a save as often as not
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    log_lines: list[str] = []
    options = replace(OPTIONS, epochs=500)

    class Enough(Exception):
        pass

    class ReadsOnly(TrainingCheckpoint):
        def save(self, key: str, state: dict) -> None:
            raise Enough

    with pytest.raises(Enough):
        train_model(ReadsOnly(file, log_lines.append), options, log_lines)
    assert log_lines[0].startswith("going on after epoch")
