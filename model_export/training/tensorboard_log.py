"""Writes a training for TensorBoard (extra `report`): scalars by epoch, and the item space for the projector and as a figure."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from torch.utils.tensorboard import SummaryWriter

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from model_export.measures.training_log import Report

PROJECTED = 5_000  # most frequent items, the limit of the projector
NAMED = 12  # items with a name in the figure


class TensorBoardLog:
    """Passes reports on and writes them into a folder for `tensorboard --logdir`."""

    def __init__(self, folder: Path, report: Report) -> None:
        self._writer, self._report = SummaryWriter(str(folder)), report
        self._step = 0

    def report(self, name: str, value: float) -> None:
        """Takes one of `train_metrics.METRICS`; the step counts the epochs of all searches and of the final training."""
        if name == "epoch":
            self._step += 1
        self._writer.add_scalar(name, value, self._step)
        self._report(name, value)

    def items(self, vectors: npt.NDArray[np.float32], names: Sequence[str]) -> None:
        """Writes the item `vectors` float32 [N, d], most frequent first, and their principal components."""
        count = min(len(vectors), PROJECTED)
        self._writer.add_embedding(vectors[:count], metadata=list(names[:count]), tag="items")
        self._writer.add_figure("items, two principal components", picture(vectors[:count], names[:count]))

    def close(self) -> None:
        """Closes the files."""
        self._writer.close()


def picture(vectors: npt.NDArray[np.float32], names: Sequence[str]) -> plt.Figure:
    """A figure of the items on their two principal components, with the names of some frequent ones."""
    centred = vectors - vectors.mean(0)
    _, strength, directions = np.linalg.svd(centred, full_matrices=False)
    points = centred @ directions[:2].T
    variance_shares = (strength[:2] ** 2 / (strength**2).sum()).round(3)
    figure, axes = plt.subplots(figsize=(7.2, 5.4), layout="constrained")
    axes.scatter(*points.T, s=4, alpha=0.4)
    for point, name in zip(points[:NAMED], names[:NAMED], strict=False):
        axes.annotate(name[:28], point, fontsize=7)
    axes.set(
        xlabel=f"first component, {variance_shares[0]:.1%} of the variance", ylabel=f"second, {variance_shares[1]:.1%}"
    )
    axes.set_title(f"{len(vectors)} items")
    return figure
