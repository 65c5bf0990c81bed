"""`liveshelf evaluate`: a bundle as it is served (its ONNX graph), beside the baselines, on sessions with a test of their own."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.dataset import Examples
from model_export.fit import Log
from model_export.metrics import NEVER, summary
from model_export.rivals import baselines, ranks_of
from model_export.sessions import SessionSet, learned, read_sessions
from operators.model_bundle import ModelBundle
from operators.scorer import Scorer
from operators.settings import ScorerSettings
from operators.state_layout import HISTORY

BATCH = 256
K = 20
# the papers' name of a hit among k when one item is relevant; RecTools and others call it recall
NAMES = {f"R@{K}": f"P@{K}", f"MRR@{K}": f"MRR@{K}", f"NDCG@{K}": f"NDCG@{K}"}


def evaluate_sessions(bundle: ModelBundle, folder: Path, log: Log) -> dict[str, Any]:
    """P@20, MRR@20 and NDCG@20 in % of the bundle and of each baseline, and the protocol."""
    read = read_sessions(folder)
    rank = ranks_of_bundle(bundle, read)
    ours = _percent(summary(rank, K))
    log(f"{bundle.name} {bundle.version}: {ours}")
    words = read.vocabulary()
    known, asked = learned(read.train, words), read.questions(words, HISTORY)
    rivals = {}
    for name, rival in baselines(known, len(words), timed=False):
        rivals[name] = _percent(summary(ranks_of(rival, asked), K))
        log(f"{name}: {rivals[name]}")
    return {
        **ours,
        "model": f"{bundle.name} {bundle.version}",
        "baselines": rivals,
        "protocol": {
            "set": read.name,
            "split": "the folder's own train.parquet and test.parquet",
            "ranking": f"all {len(words)} items, ties count against the model, items of the prefix may come again",
            "questions": len(asked),
            "steps_seen_by_the_model": bundle.window,
            "steps_seen_by_the_baselines": HISTORY,
            "items_that_the_bundle_does_not_know": sum(not bundle.vocabulary.row(item) for item in words.item_ids),
            "cleaning": read.cleaning,
        },
    }


def ranks_of_bundle(bundle: ModelBundle, read: SessionSet) -> npt.NDArray[np.int64]:
    """Rank of each target among the candidates of the graph; a prefix without a known item gets the popular list."""
    scorer = Scorer(bundle, ScorerSettings(provider="cpu"))
    asked = read.questions(bundle.vocabulary, bundle.window)
    parts = []
    for begin in range(0, len(asked), BATCH):
        part = asked.where(np.arange(begin, min(begin + BATCH, len(asked))))
        scores, rows = scorer.score(part.features)
        cold = part.features.length == 0
        if cold.any():
            scores[cold] = 0
            rows[cold] = np.resize(bundle.popular, rows.shape[1])
            scores[cold] -= np.arange(rows.shape[1])
        parts.append(ranks_of_candidates(scores, rows, part))
    return np.concatenate(parts)


def ranks_of_candidates(
    scores: npt.NDArray[np.float32], rows: npt.NDArray[np.int32], asked: Examples
) -> npt.NDArray[np.int64]:
    """As `metrics.ranks`, of scores [B, K] and rows [B, K], best first; a target that is not among them never comes."""
    hit = (rows == asked.target[:, None]) & (asked.target > 0)[:, None]
    own = np.where(hit.any(axis=1), scores[np.arange(len(rows)), hit.argmax(axis=1)], np.inf)
    better = (scores >= own[:, None]).sum(axis=1)
    rank: npt.NDArray[np.int64] = np.where(hit.any(axis=1), better, NEVER)
    return rank


def _percent(found: dict[str, float]) -> dict[str, float]:
    return {NAMES[name]: round(100 * value, 3) for name, value in found.items()}
