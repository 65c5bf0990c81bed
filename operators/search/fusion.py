"""Several rankings of the same items become one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

RANK_OFFSET = 60  # of Cormack, Clarke and Buettcher, SIGIR 2009: how little the first places outweigh the next


def reciprocal_ranks(rankings: Mapping[str, Sequence[int]], weights: Mapping[str, float]) -> dict[int, float]:
    """Slot -> sum over the rankings of weight / (60 + place), scaled so that the first place everywhere has 1; best first.

    A ranking without a weight does not count; an item that a ranking lacks gets nothing from it.
    """
    scores: defaultdict[int, float] = defaultdict(float)
    present = [name for name, ranking in rankings.items() if ranking and weights.get(name, 0) > 0]
    total = sum(weights[name] for name in present) / (RANK_OFFSET + 1)
    for name in present:
        for place, slot in enumerate(rankings[name], start=1):
            scores[slot] += weights[name] / (RANK_OFFSET + place) / total
    return dict(sorted(scores.items(), key=lambda entry: -entry[1]))
