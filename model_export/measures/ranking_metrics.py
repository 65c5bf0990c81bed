"""Ranking metrics over the full catalogue: one relevant item a question."""

import numpy as np
import numpy.typing as npt

NEVER = np.iinfo(np.int32).max  # the rank of an item that cannot be recommended


def ranks(scores: npt.NDArray[np.float32], target: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Rank (from 1) of each target row in `scores` [B, N + 1]; ties count against the model, row 0 never competes.
    A target of row 0 (an item that the model does not know) ranks below all.

    The pessimistic rank keeps a constant scorer from looking good (Krichene and Rendle, KDD 2020, on metrics).
    """
    own = scores[np.arange(len(target)), target][:, None]
    return np.where(target > 0, (scores[:, 1:] >= own).sum(axis=1), NEVER)


def gains(rank: npt.NDArray[np.int64], k: int = 20) -> dict[str, npt.NDArray[np.float64]]:
    """Of each question [B] with one relevant item: hit, 1 / rank and 1 / log2(rank + 1) within k, 0 below."""
    hit = rank <= k
    return {
        f"R@{k}": hit.astype(np.float64),
        f"MRR@{k}": np.where(hit, 1 / rank, 0),
        f"NDCG@{k}": np.where(hit, 1 / np.log2(rank + 1), 0),
    }


def summary(rank: npt.NDArray[np.int64], k: int = 20) -> dict[str, float]:
    """R@k, MRR@k and NDCG@k: the means of `gains`."""
    return {name: float(values.mean()) for name, values in gains(rank, k).items()}


def percent(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics in %, with the papers' names: they call recall with one relevant item P@k."""
    return {
        name.replace("R@", "P@", 1) if name.startswith("R@") else name: round(100 * v, 3) for name, v in metrics.items()
    }
