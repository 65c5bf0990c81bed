"""All baselines on one split, and the ranks that a recommender reaches on questions."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from model_export.baselines.als import Als
from model_export.baselines.baselines import ItemKnn, Markov, Popularity, Recommender, SessionPopularity
from model_export.baselines.vmis_knn import VmisKnn
from model_export.data.dataset import Examples
from model_export.measures.ranking_metrics import percent, ranks, summary


def baselines(known: Examples, items: int, *, timed: bool = True) -> Iterator[tuple[str, Recommender]]:
    """Name and baseline, one after the other: each is built when it is asked for. Untimed data knows no week."""
    yield "popularity (7 days)" if timed else "popularity", _popularity(known, items, timed)
    yield "session popularity", SessionPopularity(known, items)
    yield "Markov", Markov(known, items)
    yield "item-kNN", ItemKnn(known, items)
    yield "VMIS-kNN", VmisKnn(known, items)
    yield "ALS", Als(known, items)


def _popularity(known: Examples, items: int, timed: bool) -> Popularity:
    return Popularity(known, items) if timed else Popularity(known, items, window_ms=1 << 62)


def ranks_of(recommender: Recommender, asked: Examples) -> npt.NDArray[np.int64]:
    """The rank of each question's target among all items."""
    return np.concatenate([ranks(recommender.scores(part), part.target) for part in asked.parts()])


def judged(
    known: Examples, asked: Examples, items: int, log: Callable[[str], None], *, timed: bool = True
) -> dict[str, dict[str, float]]:
    """Baseline -> its metrics; each is said when it is known, for some take minutes."""
    found = {}
    for name, rival in baselines(known, items, timed=timed):
        found[name] = summary(ranks_of(rival, asked))
        log(f"{name}: {percent(found[name])}")
    return found
