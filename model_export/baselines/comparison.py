"""All baselines on one split, and the ranks that a recommender reaches on questions."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from model_export.baselines.als import Als
from model_export.baselines.baselines import ItemKnn, Markov, Popularity, Recommender, SessionPopularity
from model_export.baselines.vmis_knn import VmisKnn
from model_export.data.dataset import Examples
from model_export.measures.ranking_metrics import percent, ranks, summary


def baselines(train: Examples, items: int, *, timed: bool = True) -> Iterator[tuple[str, Recommender]]:
    """Yields name and baseline; each is built only when the caller takes it. Without `timed`, popularity counts all events."""
    yield "popularity (7 days)" if timed else "popularity", _popularity(train, items, timed)
    yield "session popularity", SessionPopularity(train, items)
    yield "Markov", Markov(train, items)
    yield "item-kNN", ItemKnn(train, items)
    yield "VMIS-kNN", VmisKnn(train, items)
    yield "ALS", Als(train, items)


def _popularity(train: Examples, items: int, timed: bool) -> Popularity:
    return Popularity(train, items) if timed else Popularity(train, items, window_ms=1 << 62)


def ranks_of(recommender: Recommender, questions: Examples) -> npt.NDArray[np.int64]:
    """The rank of each question's target among all items."""
    return np.concatenate([ranks(recommender.scores(part), part.target) for part in questions.parts()])


def evaluate_baselines(
    train: Examples, questions: Examples, items: int, log: Callable[[str], None], *, timed: bool = True
) -> dict[str, dict[str, float]]:
    """Baseline -> its metrics. Logs each result at once, because some baselines take minutes."""
    metrics = {}
    for name, baseline in baselines(train, items, timed=timed):
        metrics[name] = summary(ranks_of(baseline, questions))
        log(f"{name}: {percent(metrics[name])}")
    return metrics
