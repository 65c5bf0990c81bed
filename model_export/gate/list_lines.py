"""The lines on lists and scores: coverage, overlap with the champion's lists, drift of the scores."""

import numpy as np
import numpy.typing as npt

from model_export.gate.answers import Answers
from model_export.gate.report import RETRAIN, Line, ScoreShares, judged
from operators.configuration.shop_settings import GateLimits
from operators.model.reference import Bins
from operators.quality.drift import psi
from operators.shopper.features import Rows

OTHER = "check that both bundles are of one shop; a new kind of model may need another [gate] limit"


def coverage_line(candidate: Rows, champion: Rows, items: int, limits: GateLimits) -> Line:
    """The share of all `items` that any of the lists [B, 20] holds."""
    value, champion_value = (float(np.unique(lists[lists > 0]).size) / items for lists in (candidate, champion))
    limit = limits.min_coverage * champion_value
    return judged(
        "coverage",
        value >= limit,
        f"{limit:.4f} or more of the {items} items on lists ({limits.min_coverage:g} of the champion's)",
        f"{value:.4f}",
        f"{RETRAIN}; a model that shows everybody the same items has learned popularity",
        value=value,
        champion=champion_value,
        limit=limit,
    )


def shared_items(candidate: Rows, champion: Rows) -> npt.NDArray[np.int64]:
    """int64 [B]: the items that are on both lists [B, 20]."""
    both = (candidate[:, :, None] == champion[:, None, :]) & (candidate > 0)[:, :, None]
    shared: npt.NDArray[np.int64] = both.any(axis=2).sum(axis=1)
    return shared


def overlap_line(shared: npt.NDArray[np.int64], size: int, limits: GateLimits) -> Line:
    """`shared` [B] of lists of `size`: too few shared items are another shop's model. Equal lists pass, and are named."""
    value = float(shared.mean()) / size
    equal = ": the same lists, nothing was learned" if (shared == size).all() else ""
    return judged(
        "overlap@20",
        value >= limits.min_overlap,
        f"{limits.min_overlap:g} to 1 of a list on the champion's too",
        f"{value:.4f}{equal}",
        OTHER,
        value=value,
        limit=limits.min_overlap,
    )


def score_drift(candidate: Answers, champion: Answers, limits: GateLimits) -> tuple[Line, ScoreShares | None]:
    """The population stability index of the best scores, in ten bins of equal share of the champion's."""
    both = candidate.warm & champion.warm
    expected = f"a stability index of the best scores of {limits.max_score_psi:g} or less"
    if not both.any():
        came = "no shopper whom both models score"
        return judged("score drift", False, expected, came, OTHER, limit=limits.max_score_psi), None
    bins = Bins.fit(champion.scores[both, 0])
    ours = Bins.fit(candidate.scores[both, 0], bins.edges)
    value = psi(bins.shares, ours.shares)
    line = judged(
        "score drift",
        value <= limits.max_score_psi,
        expected,
        f"{value:.4f}",
        f"{OTHER}; whoever compares scores with a threshold must learn of it",
        value=value,
        limit=limits.max_score_psi,
    )
    return line, ScoreShares(bins.edges.tolist(), ours.shares.tolist(), bins.shares.tolist())
