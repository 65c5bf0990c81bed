"""A training for TensorBoard (extra `report`): scalars by epoch, and the item space for its projector and as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from torch.utils.tensorboard import SummaryWriter

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from model_export.measures.training_log import Report

PROJECTED = 5_000  # most frequent items; the projector draws no more
NAMED = 12  # in the picture


class TensorBoardLog:
    """Passes on what is reported, and writes it into a folder that `tensorboard --logdir` shows."""

    def __init__(self, folder: Path, report: Report) -> None:
        self._writer, self._report = SummaryWriter(str(folder)), report
        self._step = 0

    def report(self, name: str, value: float) -> None:
        """One of `train_metrics.METRICS`; epochs of searches and of the last training are counted on."""
        if name == "epoch":
            self._step += 1
        self._writer.add_scalar(name, value, self._step)
        self._report(name, value)

    def items(self, vectors: npt.NDArray[np.float32], names: Sequence[str]) -> None:
        """`vectors` float32 [N, d] with a name each, most frequent first: the projector's, and their principal components."""
        count = min(len(vectors), PROJECTED)
        self._writer.add_embedding(vectors[:count], metadata=list(names[:count]), tag="items")
        self._writer.add_figure("items, two principal components", picture(vectors[:count], names[:count]))

    def close(self) -> None:
        """Ends the files."""
        self._writer.close()


def picture(vectors: npt.NDArray[np.float32], names: Sequence[str]) -> plt.Figure:
    """The items on the two directions in which their vectors differ most, some of the frequent ones named."""
    centred = vectors - vectors.mean(0)
    _, strength, directions = np.linalg.svd(centred, full_matrices=False)
    places = centred @ directions[:2].T
    variance_shares = (strength[:2] ** 2 / (strength**2).sum()).round(3)
    figure, axes = plt.subplots(figsize=(7.2, 5.4), layout="constrained")
    axes.scatter(*places.T, s=4, alpha=0.4)
    for place, name in zip(places[:NAMED], names[:NAMED], strict=False):
        axes.annotate(name[:28], place, fontsize=7)
    axes.set(
        xlabel=f"first component, {variance_shares[0]:.1%} of the variance", ylabel=f"second, {variance_shares[1]:.1%}"
    )
    axes.set_title(f"{len(vectors)} items")
    return figure
