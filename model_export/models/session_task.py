"""The session task: will the shopper click, cart or buy this item before the session ends?

Binary cross-entropy for each kind of event; the rarer and more valuable kinds weigh more. The probabilities stay
calibrated, because the weight is the same for both labels. The input is the state just before the event, as in the job.
The outputs are about an item that the shopper turns to; `model_export/models/click_head.py` says whether that happens.
"""

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from model_export.data.chosen import Chosen
from model_export.data.dataset import Examples
from model_export.data.outcomes import WANTED
from model_export.data.windows import tensors_of
from model_export.models.click_head import ClickHead
from model_export.models.encoders import NextItem
from model_export.models.tasks import TASK_BATCH, PairHead, Task, of_targets
from operators.experiments.calibration import reliability

WEIGHTS = (1.0, 2.0, 3.0)


class SessionHead(PairHead):
    """A logit for each kind of event, and the click head."""

    def __init__(self, width: int) -> None:
        super().__init__(width, len(WANTED))
        self.clicks = ClickHead(width)


class SessionTask(Task):
    """Learns from `train`; `questions` are for the metrics."""

    name = "session"
    needs = "no click, cart or purchase tells items apart"

    def __init__(self, weight: float, train: Examples, questions: Examples) -> None:
        super().__init__(weight)
        self._train, self._questions = (part.where(part.features.length > 0) for part in (train, questions))
        rate = self._train.outcomes.mean(0) if len(self._train) else np.zeros(len(WANTED))
        self._chosen = Chosen(train)
        # a kind that never or always happens teaches nothing
        self.kinds = [column for column in range(len(WANTED)) if 1e-4 < rate[column] < 1 - 1e-4]

    @property
    def teaches(self) -> bool:
        """Whether any kind of event happens sometimes, but not always."""
        return bool(self.kinds)

    def head(self, width: int) -> nn.Module:
        """For the kinds of event, and clicks."""
        return SessionHead(width)

    def loss(self, model: NextItem, generator: np.random.Generator) -> Tensor:
        """Mean over examples of the weighted cross-entropies, and the loss of the click head."""
        rows = generator.integers(0, len(self._train), TASK_BATCH)
        batch = self._train.where(rows)
        labels = torch.from_numpy(batch.outcomes.astype(np.float32)).to(model.device)
        own, context = model.after_last(*tensors_of(batch, model.device))
        head, state = model.tasks[self.name], context[0]
        logits = head(state, model.table()[torch.from_numpy(batch.target).long().to(model.device)])
        losses = nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(0)
        with torch.no_grad():
            scores = model.with_heads(own, *context)
        of_clicks: Tensor = head.clicks.loss(model, state, scores, batch, self._chosen)
        return sum((WEIGHTS[kind] * losses[kind] for kind in self.kinds), start=of_clicks)

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
            metrics[f"{WANTED[kind]} ECE"] = reliability(predicted, labels).ece
        return metrics


def area_under_roc(predicted: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> float:
    """The probability that a positive case has a higher score than a negative one (Mann and Whitney, 1947)."""
    count = int(labels.sum())
    return float((rankdata(predicted)[labels].sum() - count * (count + 1) / 2) / (count * (len(labels) - count)))


def cross_entropy(predicted: npt.NDArray[np.float64] | float, labels: npt.NDArray[np.bool_]) -> float:
    """Mean of -log of the probability predicted for the true label."""
    return float(-np.log(np.clip(np.where(labels, predicted, 1 - predicted), 1e-7, 1)).mean())
