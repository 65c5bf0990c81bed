"""Measures of a ranking against graded judgments.

Grades are 0 to 1; an item that nobody judged counts 0.
"""

import math
from collections.abc import Mapping, Sequence

RELEVANT = 0.1  # the lowest grade that recall counts


def ndcg(ranking: Sequence[str], grades: Mapping[str, float], depth: int = 10) -> float | None:
    """Normalised discounted cumulative gain (Jaervelin and Kekaelaeinen, TOIS 2002), linear gain: sum of grade / log2(place + 1),
    divided by that of the best ranking. None if no item has a grade above 0: no ranking is better than another."""
    best = _gain(sorted(grades.values(), reverse=True)[:depth])
    if best <= 0:
        return None
    return _gain([grades.get(item, 0.0) for item in ranking[:depth]]) / best


def recall(ranking: Sequence[str], grades: Mapping[str, float], depth: int = 100) -> float | None:
    """The share of the items with a grade of `RELEVANT` or more that is among the first `depth`. None without such an item."""
    relevant = {item for item, grade in grades.items() if grade >= RELEVANT}
    if not relevant:
        return None
    return len(relevant.intersection(ranking[:depth])) / len(relevant)


def _gain(grades: Sequence[float]) -> float:
    return sum(grade / math.log2(place + 1) for place, grade in enumerate(grades, start=1))
