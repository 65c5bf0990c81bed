"""A model's metrics with all items ranked."""

import numpy as np
import numpy.typing as npt
import torch

from model_export.data.dataset import Examples
from model_export.data.windows import tensors_of
from model_export.measures.ranking_metrics import ranks, summary
from model_export.models.encoders import NextItem


def model_scores(model: NextItem, questions: Examples) -> npt.NDArray[np.float32]:
    """The scores of all items, float32 [B, N + 1]."""
    with torch.inference_mode():
        scores: npt.NDArray[np.float32] = model.scores(*tensors_of(questions, model.device)).cpu().numpy()
    return scores


def evaluate(model: NextItem, questions: Examples) -> dict[str, float]:
    """R@20, MRR@20 and NDCG@20 over all items."""
    model.eval()
    return summary(np.concatenate([ranks(model_scores(model, part), part.target) for part in questions.parts()]))
