"""The session task: will the shopper click, cart or buy this item before the session ends?

Binary cross-entropy for each kind of event; the rarer and more valuable kinds weigh more. The probabilities stay
calibrated, because the weight is the same for both labels. The input is the state just before the event, as in the job.
"""

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from model_export.data.dataset import Examples
from model_export.data.outcomes import WANTED
from model_export.models.encoders import NextItem
from model_export.models.tasks import TASK_BATCH, PairHead, Task, of_targets

WEIGHTS = (1.0, 2.0, 3.0)
BINS = 10


class SessionTask(Task):
    """Learns from `train`; `questions` are for the metrics."""

    name = "session"
    needs = "no click, cart or purchase tells items apart"

    def __init__(self, weight: float, train: Examples, questions: Examples) -> None:
        super().__init__(weight)
        self._train, self._questions = (part.where(part.features.length > 0) for part in (train, questions))
        rate = self._train.outcomes.mean(0) if len(self._train) else np.zeros(len(WANTED))
        # a kind that never or always happens teaches nothing
        self.kinds = [column for column in range(len(WANTED)) if 1e-4 < rate[column] < 1 - 1e-4]

    @property
    def teaches(self) -> bool:
        """Whether any kind of event happens sometimes, but not always."""
        return bool(self.kinds)

    def head(self, width: int) -> nn.Module:
        """A logit for each kind of event."""
        return PairHead(width, len(WANTED))

    def loss(self, model: NextItem, generator: np.random.Generator) -> Tensor:
        """Mean over examples of the weighted cross-entropies."""
        rows = generator.integers(0, len(self._train), TASK_BATCH)
        batch = self._train.where(rows)
        labels = torch.from_numpy(batch.outcomes.astype(np.float32)).to(model.device)
        logits = of_targets(model, self.name, batch)
        losses = nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(0)
        return sum((WEIGHTS[kind] * losses[kind] for kind in self.kinds), start=losses.new_zeros(()))

    def metrics(self, model: NextItem) -> dict[str, float]:
        """For each kind: area under the ROC curve, cross-entropy as a share of that of the base rate, calibration error."""
        with torch.inference_mode():
            logits = [of_targets(model, self.name, part) for part in self._questions.parts()]
        probability = torch.sigmoid(torch.cat(logits)).cpu().numpy().astype(np.float64)
        metrics = {}
        for kind in self.kinds:
            labels, predicted = self._questions.outcomes[:, kind], probability[:, kind]
            if labels.all() or not labels.any():
                continue
            metrics[f"{WANTED[kind]} AUC"] = area_under_roc(predicted, labels)
            metrics[f"{WANTED[kind]} entropy"] = cross_entropy(predicted, labels) / cross_entropy(labels.mean(), labels)
            metrics[f"{WANTED[kind]} ECE"] = calibration_error(predicted, labels)
        return metrics


def area_under_roc(predicted: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> float:
    """The probability that a positive case has a higher score than a negative one (Mann and Whitney, 1947)."""
    count = int(labels.sum())
    return float((rankdata(predicted)[labels].sum() - count * (count + 1) / 2) / (count * (len(labels) - count)))


def cross_entropy(predicted: npt.NDArray[np.float64] | float, labels: npt.NDArray[np.bool_]) -> float:
    """Mean of -log of the probability predicted for the true label."""
    return float(-np.log(np.clip(np.where(labels, predicted, 1 - predicted), 1e-7, 1)).mean())


def calibration_error(predicted: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error: mean gap between predicted and true rate, in `BINS` bins of equal size."""
    parts = np.array_split(np.argsort(predicted, kind="stable"), BINS)
    return float(
        sum(abs(predicted[part].mean() - labels[part].mean()) * len(part) for part in parts if len(part))
        / len(predicted)
    )
