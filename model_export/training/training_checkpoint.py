"""Checkpoints of a training: after kill -9 or a restart it goes on after the last whole epoch."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model_export.data.dataset import Examples


def fingerprint(train: Examples, options: dict[str, Any], start: dict[str, torch.Tensor] | None = None) -> str:
    """Of what is learned, how, and from which weights on: a checkpoint of anything else is not gone on with."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for array in (train.target, train.time_ms, train.features.items):
        digest.update(array.tobytes())
    for name, weights in (start or {}).items():
        digest.update(name.encode() + weights.numpy().tobytes())
    return digest.hexdigest()


class TrainingCheckpoint:
    """One file, which appears by rename. Without a `file` nothing is kept."""

    def __init__(self, file: Path | None, log: Callable[[str], None]) -> None:
        self._file, self._log = file, log

    def load(self, key: str) -> dict[str, Any] | None:
        """The state that was saved under this fingerprint, if there is one and it can be read."""
        if self._file is None or not self._file.is_file():
            return None
        try:
            saved: dict[str, Any] = torch.load(self._file, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file: torch raises what its unpickler and zip reader raise
            self._log(f"{self._file.name} cannot be read, the training begins anew: {str(error)[:100]}")
            return None
        if saved.get("key") != key:
            self._log(f"{self._file.name} is of other data or settings, the training begins anew")
            return None
        return saved

    def save(self, key: str, state: dict[str, Any]) -> None:
        """Keeps the state. A full disk costs the checkpoint, not the training: the older one stays, and it is said."""
        if self._file is None:
            return
        aside = self._file.with_name(self._file.name + ".part")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state | {"key": key}, aside)
            aside.rename(self._file)
        except (OSError, RuntimeError) as error:  # torch's zip writer says RuntimeError when the disk is full
            aside.unlink(missing_ok=True)
            self._log(f"no checkpoint was written ({str(error)[:100]}); free the disk: a crash now costs more epochs")
