"""Two processes train the model that one trains."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from model_export.training.train import train
from model_export.training.train_options import TrainingData, TrainOptions
from tests.model_export.training.test_training import circle
from tests.running_stack import ROOT

SETTINGS = "width = 16\nbatch = 1024\nbf16_products = false\ndropout = 0.0\nepochs = 2\nsession = 0.5\n"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    source, settings = TrainingData(circle(tmp_path, users=60)), tmp_path / "settings.toml"
    settings.write_text(SETTINGS)
    train(source, tmp_path / "one", TrainOptions().with_settings(settings), log=lambda _: None)
    programs = Path(sys.executable).parent
    words = [programs / "torchrun", "--no-python", "--nproc-per-node=2", programs / "liveshelf", "train"]
    words += ["--events", source.events, "--settings", settings, "--out", tmp_path / "two"]
    process = subprocess.run(words, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "training.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    vectors = [np.load(tmp_path / name / "vectors.npy").astype(np.float32) for name in ("one", "two")]
    assert np.abs(vectors[1] - vectors[0]).max() < 2e-3  # they are kept in float16
