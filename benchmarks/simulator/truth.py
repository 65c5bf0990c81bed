"""What the truth says of a list: how relevant its items are, how many clicks it may expect, and which list is the best.

A shopper clicks an item that they examine and find relevant; whether they examine it depends on its place alone (the
position-based model: Craswell et al., WSDM 2008). The probability of place r is 1 / r, as in the simulations of Joachims,
Swaminathan and Schnabel, WSDM 2017.
"""

import numpy as np

from benchmarks.simulator.drift import Rows
from benchmarks.simulator.real_shops import Floats
from benchmarks.simulator.world import World

LEVEL = -6.5  # log odds of the relevance of an item that is wanted as much as the average item


def examination(places: int) -> Floats:
    """float64 [places]: the probability that a shopper looks at each place."""
    return 1.0 / np.arange(1, places + 1)


def relevance(world: World, shopper: int, focus: int, taken: "Rows | list[int]") -> Floats:
    """float64 [items + 1]: the probability that a shopper who looks at an item wants it.

    Its odds are in proportion to how often the shopper would choose the item by themselves. 0 for `taken` items, for items
    that have not arrived, and in the last place, which row -1 (an item of no one) finds.
    """
    odds = np.exp(LEVEL) * len(world.category) * world.wanted(shopper, focus)
    odds[taken] = 0.0
    relevant = np.zeros(len(odds) + 1)
    relevant[:-1] = odds / (1 + odds)
    return relevant


def expected_clicks(relevant: Floats, rows: Rows) -> float:
    """The expected number of clicks on a list of these rows, best place first."""
    return float(relevant[rows] @ examination(len(rows)))


def best_rows(relevant: Floats, size: int) -> Rows:
    """The list that no other of this size beats: the most relevant items, the best at the top."""
    rows: Rows = np.argsort(-relevant[:-1], kind="stable")[:size]
    return rows
