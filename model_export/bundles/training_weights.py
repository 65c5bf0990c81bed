"""`weights.npz` of a bundle: what a later training needs to go on from the model, and the graph does not hold by name.

The exporter folds and transposes matrices, so that a graph names only some of the weights. The item table, the biases and
the counts of followers keep their names: they stay in the graph alone.
"""

import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model_export.models.encoders import NextItem
from operators.errors import BundleError

FILE = "weights.npz"
MOST_BYTES = 256 << 20
IN_THE_GRAPH = ("items.weight", "bias", "tasks.")  # the search task's weights are those of the query tower
SCALE, SILENT = "frozen.scale", "frozen.silent"
FIX = "train a bundle with this release: liveshelf train"


class TrainingWeights(NamedTuple):
    """The weights of a frozen model by their names in its state dict, its `scale`, and whether its heads are off."""

    by_name: dict[str, Tensor]
    scale: float
    silent: bool


def write_weights(model: NextItem, file: Path) -> None:
    """Writes the weights of a frozen model."""
    weights = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(IN_THE_GRAPH)}
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in weights.items()}
    np.savez(file, **arrays, **{SCALE: np.float64(model.scale), SILENT: np.bool_(model.silent)})


def read_weights(content: bytes) -> TrainingWeights:
    """From the bytes of the file. Raises `BundleError`."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            by_name = {name: torch.from_numpy(arrays[name]) for name in arrays.files if name not in (SCALE, SILENT)}
            return TrainingWeights(by_name, float(arrays[SCALE]), bool(arrays[SILENT]))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise BundleError(f"weights as `liveshelf train` writes them in {FILE}", str(error)[:200], FIX) from error
