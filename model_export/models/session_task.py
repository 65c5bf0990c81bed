"""What this session wants now: if the shopper looks at this item now, will it be clicked, put into the cart, bought before the session ends?

Binary cross-entropy for each kind, the rarer and dearer weighted more; the probabilities stay calibrated, because a weight counts
for both answers alike. Asked with the state just before the event, as the job has it.
"""

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from model_export.data.dataset import Examples
from model_export.data.outcomes import WANTED
from model_export.models.encoders import NextItem
from model_export.models.tasks import ASKED, PairHead, Task, of_targets

WEIGHTS = (1.0, 2.0, 3.0)
BINS = 10


class SessionTask(Task):
    """Learns from `known` and is asked about `asked`."""

    name = "session"
    needs = "no click, cart or purchase tells items apart"

    def __init__(self, weight: float, known: Examples, asked: Examples) -> None:
        super().__init__(weight)
        self._known, self._asked = (part.where(part.features.length > 0) for part in (known, asked))
        rate = self._known.outcomes.mean(0) if len(self._known) else np.zeros(len(WANTED))
        # what never or always happens teaches nothing
        self.kinds = [column for column in range(len(WANTED)) if 1e-4 < rate[column] < 1 - 1e-4]

    @property
    def teaches(self) -> bool:
        """Whether any want happens now and then."""
        return bool(self.kinds)

    def head(self, width: int) -> nn.Module:
        """A logit for each want."""
        return PairHead(width, len(WANTED))

    def loss(self, model: NextItem, generator: np.random.Generator) -> Tensor:
        """Mean over examples of the weighted cross-entropies."""
        rows = generator.integers(0, len(self._known), ASKED)
        drawn = self._known.where(rows)
        right = torch.from_numpy(drawn.outcomes.astype(np.float32)).to(model.device)
        logits = of_targets(model, self.name, drawn)
        each = nn.functional.binary_cross_entropy_with_logits(logits, right, reduction="none").mean(0)
        return sum((WEIGHTS[kind] * each[kind] for kind in self.kinds), start=each.new_zeros(()))

    def metrics(self, model: NextItem) -> dict[str, float]:
        """For each kind: area under the ROC curve, cross-entropy as a share of that of the base rate, calibration error."""
        with torch.inference_mode():
            logits = [of_targets(model, self.name, part) for part in self._asked.parts()]
        probability = torch.sigmoid(torch.cat(logits)).cpu().numpy().astype(np.float64)
        found = {}
        for kind in self.kinds:
            right, said = self._asked.outcomes[:, kind], probability[:, kind]
            if right.all() or not right.any():
                continue
            found[f"{WANTED[kind]} AUC"] = area_under_roc(said, right)
            found[f"{WANTED[kind]} entropy"] = cross_entropy(said, right) / cross_entropy(right.mean(), right)
            found[f"{WANTED[kind]} ECE"] = calibration_error(said, right)
        return found


def area_under_roc(said: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    """How often a case that came true was said to be likelier than one that did not (Mann and Whitney, 1947)."""
    count = int(right.sum())
    return float((rankdata(said)[right].sum() - count * (count + 1) / 2) / (count * (len(right) - count)))


def cross_entropy(said: npt.NDArray[np.float64] | float, right: npt.NDArray[np.bool_]) -> float:
    """Mean of -log of the probability that was given to what happened."""
    return float(-np.log(np.clip(np.where(right, said, 1 - said), 1e-7, 1)).mean())


def calibration_error(said: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error: mean gap of what was said and what happened, in `BINS` bins of equally many cases."""
    parts = np.array_split(np.argsort(said, kind="stable"), BINS)
    return float(
        sum(abs(said[part].mean() - right[part].mean()) * len(part) for part in parts if len(part)) / len(said)
    )
