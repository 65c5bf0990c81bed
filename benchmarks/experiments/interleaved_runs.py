"""Two rankings drafted into one list: how often equal ones are called different, how soon the better one is found."""

import random
from dataclasses import dataclass

import numpy as np

from operators.experiments.interleaving import Credit, credit, preference, team_draft

ITEMS, SIZE = 60, 10


@dataclass(frozen=True)
class InterleavedRuns:
    """Shares of the runs in which a preference was called at any look; `users_until_found`: median, None below half."""

    called_second: float
    called_first: float
    users_until_found: float | None


def interleave(
    noise_first: float, noise_second: float, *, users: int, every: int, runs: int, seed: int
) -> InterleavedRuns:
    """`noise_…`: how far a ranking is from the shopper's taste (deviation of the score; tastes have deviation 1). A look
    after each `every` users; each sees one to four lists."""
    rng = np.random.default_rng(seed)
    draft_rng = random.Random(seed)
    called = {-1: 0, 1: 0}
    until_found = []
    for _ in range(runs):
        credits, sign, seen = list[Credit](), 0, np.inf
        for user in range(users):
            credits += _lists_of(str(user), noise_first, noise_second, rng, draft_rng)
            if (user + 1) % every == 0 and (sign := _called(credits)):
                seen = user + 1
                break
        called[sign or 1] += sign != 0
        until_found.append(seen)
    median = float(np.median(until_found))
    return InterleavedRuns(called[1] / runs, called[-1] / runs, median if np.isfinite(median) else None)


def _lists_of(
    user: str, noise_first: float, noise_second: float, rng: np.random.Generator, draft_rng: random.Random
) -> list[Credit]:
    taste, lists = rng.normal(size=ITEMS), list[Credit]()
    click = 1 / (1 + np.exp(3.5 - 1.2 * taste))
    for _ in range(int(rng.integers(1, 5))):
        rankings = [np.argsort(-(taste + rng.normal(0, noise, ITEMS))) for noise in (noise_first, noise_second)]
        first, second = ([str(item) for item in ranking] for ranking in rankings)
        drafted = team_draft(first, second, SIZE, draft_rng)
        clicked = [place.item_id for place in drafted if rng.random() < click[int(place.item_id)]]
        lists.append(credit(user, drafted, clicked))
    return lists


def _called(credits: list[Credit]) -> int:
    low, high = preference(credits).interval
    return 1 if low > 0 else -1 if high < 0 else 0
