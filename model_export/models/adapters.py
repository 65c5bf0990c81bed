"""A trained encoder as the beginning of another shop's: its weights in a file, and low-rank adapters beside them.

Items are a shop's own; how steps become a wish is less so. With a rank, the encoder's products stay as they were trained, and each gets
a small sum beside it (LoRA: Hu et al., ICLR 2022), so that little data cannot spoil them.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from model_export.models.encoders import NextItem
from operators.errors import LiveshelfError

SHOPS_OWN = ("items.", "bias", "copy.", "transitions.", "tasks.")


class LowRank(nn.Module):
    """W -> W + B A, W of [rows, columns], A [rank, columns], B [rows, rank], which begins at zero: nothing changes at first."""

    def __init__(self, rows: int, columns: int, rank: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, columns) * columns**-0.5)
        self.b = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The sum."""
        return weight + self.b @ self.a


def encoder_weights(model: NextItem) -> dict[str, Tensor]:
    """What is not the shop's own, by its name in the state dict."""
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(SHOPS_OWN)}


def write_encoder(model: NextItem, file: Path) -> None:
    """An `.npz` of `encoder_weights`, which appears by rename."""
    aside = file.with_name(f".{file.name}.part")
    with aside.open("wb") as out:
        np.savez(out, **{name: tensor.detach().cpu().numpy() for name, tensor in encoder_weights(model).items()})
    aside.rename(file)


def read_encoder(file: Path) -> dict[str, Tensor]:
    """Raises `LiveshelfError` where the file is none of `write_encoder`'s."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise LiveshelfError(
            "an encoder as `liveshelf train --encoder-out` writes it", f"{file}: {error}", "train one"
        ) from error


def begin_with(model: NextItem, weights: dict[str, Tensor], rank: int) -> None:
    """Takes the weights over; with a rank they stay, but for adapters beside its products.

    Raises `LiveshelfError` where they are another encoder's.
    """
    own = {name: tuple(tensor.shape) for name, tensor in encoder_weights(model).items()}
    given_shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if own != given_shapes:
        differ = sorted(name for name in own.keys() | given_shapes.keys() if own.get(name) != given_shapes.get(name))
        raise LiveshelfError(
            "an encoder of the same size, width and window",
            f"others: {', '.join(differ)[:200]}",
            "give --size, --window",
        )
    model.load_state_dict(weights, strict=False)
    if not rank:
        return
    for name, part in [*model.named_modules()]:
        if isinstance(part, nn.Linear | nn.GRU) and not name.startswith(SHOPS_OWN):
            part.requires_grad_(False)
        if isinstance(part, nn.Linear) and not name.startswith(SHOPS_OWN):
            rows, columns = part.weight.shape
            parametrize.register_parametrization(part, "weight", LowRank(rows, columns, rank))


def merge(model: NextItem) -> None:
    """Adapters become part of what they are beside."""
    for part in [*model.modules()]:
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)
