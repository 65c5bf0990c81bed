"""A ranking whose neighbours resemble each other less."""

from collections.abc import Mapping

from operators.records.contracts import CatalogueItem

DEPTH = 100  # places that are mixed; the rest follows as it is


def diversified(scores: Mapping[int, float], items: Mapping[int, CatalogueItem], diversity: float) -> list[int]:
    """The slots, best first, by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): each place goes to the item
    with the best (1 - diversity) * score - diversity * share of the places so far with its brand and category.

    `diversity` 0: by score alone; 1: by variety alone.
    """
    slots = sorted(scores, key=lambda slot: -scores[slot])
    left, mixed = slots[:DEPTH], list[int]()
    taken: dict[str, int] = {}
    while left and diversity > 0:
        places = max(1, len(mixed))

        def marginal(slot: int, places: int = places) -> float:
            repeated = sum(taken.get(kind, 0) for kind in _kinds(items[slot])) / (2 * places)
            return (1 - diversity) * scores[slot] - diversity * repeated

        best = max(left, key=marginal)
        left.remove(best)
        mixed.append(best)
        for kind in _kinds(items[best]):
            taken[kind] = taken.get(kind, 0) + 1
    return [*mixed, *left, *slots[DEPTH:]]


def _kinds(item: CatalogueItem) -> tuple[str, str]:
    return f"brand {item.brand or ''}", f"category {item.category_path}"
