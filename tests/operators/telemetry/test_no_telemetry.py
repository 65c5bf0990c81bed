import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT

LOAD = """
import onnxruntime, sys
onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
"""


def files_of(program: str, home: Path) -> list[str]:
    """What a process that loads a model leaves in its home and in its temporary folder."""
    home.mkdir()
    # nothing else of the environment: where the variables of a CI are set, ONNX Runtime is silent by itself
    own = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    own |= {"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    command = [sys.executable, "-c", program, str(ROOT / "models" / "online-retail" / "model.onnx")]
    subprocess.run(command, env=own, cwd=ROOT, check=True)
    return sorted(path.name for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("room", ["operators.model.scorer", "model_export.bundles.bundle_folder"])
def test_onnx_runtime_reports_to_nobody(room: str, tmp_path: Path) -> None:
    """It would send the model's name and hashes, and keeps an id and a queue on the disk."""
    assert files_of(f"import {room}\n{LOAD}", tmp_path / "home") == []


def test_the_telemetry_would_be_seen(tmp_path: Path) -> None:
    assert files_of(LOAD, tmp_path / "home"), "ONNX Runtime leaves nothing any more: is the setting still needed?"
