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


def trained(checkpoint: TrainingCheckpoint | None, options: FitOptions = OPTIONS, said: list[str] | None = None):
    lines = [] if said is None else said
    return fit(Training(TRAIN, 100, options), None, lines.append, checkpoint=checkpoint).model.state_dict()


class DiesAfter(TrainingCheckpoint):
    """Ends the training after so many epochs."""

    def __init__(self, file: Path, epochs: int) -> None:
        super().__init__(file, print)
        self._left = epochs

    def save(self, key: str, state: dict) -> None:
        super().save(key, state)
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_a_resumed_training_ends_as_one_that_was_never_stopped(tmp_path: Path, average: float) -> None:
    options = replace(OPTIONS, average=average)
    with pytest.raises(KeyboardInterrupt):
        trained(DiesAfter(tmp_path / "c", 2), options)
    said: list[str] = []
    resumed = trained(TrainingCheckpoint(tmp_path / "c", said.append), options, said)
    assert said[0] == "going on after epoch 2" and len(said) == 3
    whole = trained(None, options)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_checkpoint_of_other_settings_or_a_broken_one_is_not_gone_on_with(tmp_path: Path) -> None:
    said: list[str] = []
    trained(TrainingCheckpoint(tmp_path / "c", said.append))
    trained(TrainingCheckpoint(tmp_path / "c", said.append), replace(OPTIONS, seed=8))
    assert "other data or settings" in said[-1]
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:1000])
    trained(TrainingCheckpoint(tmp_path / "c", said.append))
    assert "cannot be read" in said[-1]


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    said: list[str] = []
    monkeypatch.setattr(torch, "save", full)
    kept = trained(TrainingCheckpoint(tmp_path / "c", said.append))
    assert np.isfinite(kept["items.weight"].numpy()).all()
    assert len(said) == OPTIONS.epochs and "free the disk" in said[0]
    assert list(tmp_path.iterdir()) == []


KILLED = """
from pathlib import Path
from tests.model_export.training.test_fit import *
trained(TrainingCheckpoint(Path({file!r}), print), replace(OPTIONS, epochs=500), [])
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
    said: list[str] = []
    options = replace(OPTIONS, epochs=500)

    class Enough(Exception):
        pass

    class ReadsOnly(TrainingCheckpoint):
        def save(self, key: str, state: dict) -> None:
            raise Enough

    with pytest.raises(Enough):
        trained(ReadsOnly(file, said.append), options, said)
    assert said[0].startswith("going on after epoch")
