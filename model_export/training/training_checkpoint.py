"""Checkpoints of a training: after kill -9 or a restart it continues after the last complete epoch."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model_export.data.dataset import Examples


def fingerprint(
    train: Examples, options: dict[str, Any], encoder_weights: dict[str, torch.Tensor] | None = None
) -> str:
    """The fingerprint of data, options and initial weights: a training continues only from its own checkpoint."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for array in (train.target, train.time_ms, train.features.items):
        digest.update(array.tobytes())
    for name, weights in (encoder_weights or {}).items():
        digest.update(name.encode() + weights.numpy().tobytes())
    return digest.hexdigest()


class TrainingCheckpoint:
    """The checkpoint file, replaced by rename. Without a `file` it keeps nothing."""

    def __init__(self, file: Path | None, log: Callable[[str], None]) -> None:
        self._file, self._log = file, log

    def load(self, key: str) -> dict[str, Any] | None:
        """The state saved under this fingerprint; None if there is none or it cannot be read."""
        if self._file is None or not self._file.is_file():
            return None
        try:
            saved: dict[str, Any] = torch.load(self._file, map_location="cpu", weights_only=True)
        except Exception as error:  # for a damaged file torch raises any error of its unpickler and zip reader
            self._log(f"{self._file.name} cannot be read, the training begins anew: {str(error)[:100]}")
            return None
        if saved.get("key") != key:
            self._log(f"{self._file.name} is of other data or settings, the training begins anew")
            return None
        return saved

    def save(self, key: str, state: dict[str, Any]) -> None:
        """Writes the state. If the disk is full, the older checkpoint stays and the log says so; the training continues."""
        if self._file is None:
            return
        part_file = self._file.with_name(self._file.name + ".part")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state | {"key": key}, part_file)
            part_file.rename(self._file)
        except (OSError, RuntimeError) as error:  # torch's zip writer raises RuntimeError when the disk is full
            part_file.unlink(missing_ok=True)
            self._log(f"no checkpoint was written ({str(error)[:100]}); free the disk: a crash now costs more epochs")
