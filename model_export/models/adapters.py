"""A trained encoder as the start of another shop's training: its weights in a file, and low-rank adapters beside them.

Items belong to one shop; the way from steps to a user vector is more general. With a rank, the encoder's matrices are
frozen and each gets a low-rank sum (LoRA: Hu et al., ICLR 2022), so that little data cannot spoil them.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from model_export.models.encoders import NextItem
from operators.errors import LiveshelfError

SHOP_SPECIFIC = ("items.", "bias", "copy.", "transitions.", "tasks.")


class LowRank(nn.Module):
    """W -> W + B A with W [rows, columns], A [rank, columns], B [rows, rank]. B starts at zero, so W is unchanged at first."""

    def __init__(self, rows: int, columns: int, rank: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, columns) * columns**-0.5)
        self.b = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """W + B A."""
        return weight + self.b @ self.a


def encoder_weights(model: NextItem) -> dict[str, Tensor]:
    """The weights that are not specific to the shop, by their names in the state dict."""
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(SHOP_SPECIFIC)}


def write_encoder(model: NextItem, file: Path) -> None:
    """Writes `encoder_weights` as an `.npz`, by rename."""
    part_file = file.with_name(f".{file.name}.part")
    with part_file.open("wb") as stream:
        np.savez(stream, **{name: tensor.detach().cpu().numpy() for name, tensor in encoder_weights(model).items()})
    part_file.rename(file)


def read_encoder(file: Path) -> dict[str, Tensor]:
    """The weights in a file of `write_encoder`. Raises `LiveshelfError` for any other file."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise LiveshelfError(
            "an encoder as `liveshelf train --encoder-out` writes it", f"{file}: {error}", "train one"
        ) from error


def start_from(model: NextItem, weights: dict[str, Tensor], rank: int) -> None:
    """Loads the weights into the model. With a rank it freezes them and adds adapters to the encoder's matrices.

    Raises `LiveshelfError` if they belong to another encoder.
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
        if isinstance(part, nn.Linear | nn.GRU) and not name.startswith(SHOP_SPECIFIC):
            part.requires_grad_(False)
        if isinstance(part, nn.Linear) and not name.startswith(SHOP_SPECIFIC):
            rows, columns = part.weight.shape
            parametrize.register_parametrization(part, "weight", LowRank(rows, columns, rank))


def merge_adapters(model: NextItem) -> None:
    """Merges the adapters into the matrices."""
    for part in [*model.modules()]:
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)
