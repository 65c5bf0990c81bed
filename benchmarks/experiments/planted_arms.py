"""Simulated experiments: shoppers who come back, each with a click probability of their own, and a planted difference."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.experiments.statistics.moments import Moments

CONTROL, TREATMENT = 0, 1


@dataclass(frozen=True)
class PlantedShop:
    """`rate`: mean click probability of a shown item in the control arm. `spread`: shape a + b of the beta distribution of
    shoppers around it; the smaller, the more they differ. `sessions`: mean of a shopper (geometric). `lists`: mean lists
    a session (1 + Poisson), of `items` each. `treated`: the treatment arm's share of the shoppers. `drift`: how much all
    click probabilities have changed at the end, relative to the start."""

    shoppers: int = 4_000
    rate: float = 0.04
    spread: float = 12.0
    sessions: float = 2.5
    lists: float = 2.0
    items: int = 10
    treated: float = 0.5
    drift: float = 0.0


@dataclass(frozen=True)
class Watched:
    """The moments of both arms after each session, and the shoppers seen until then [sessions]."""

    control: Moments
    treatment: Moments
    shoppers: npt.NDArray[np.int64]


def run(shop: PlantedShop, lift: float, rng: np.random.Generator) -> Watched:
    """One experiment. `lift`: how much greater the treatment's click probabilities are, relative to the control's."""
    arm = (rng.random(shop.shoppers) < shop.treated).astype(int)
    probability = rng.beta(shop.rate * shop.spread, (1 - shop.rate) * shop.spread, shop.shoppers)
    probability = np.where(arm == TREATMENT, probability * (1 + lift), probability)
    shopper = np.repeat(np.arange(shop.shoppers), rng.geometric(1 / shop.sessions, shop.shoppers))
    shopper = shopper[np.argsort(rng.random(shop.shoppers)[shopper] + rng.exponential(0.2, len(shopper)))]
    x = shop.items * (1 + rng.poisson(shop.lists - 1, len(shopper))).astype(np.float64)
    now = np.minimum(1.0, probability[shopper] * np.linspace(1, 1 + shop.drift, len(shopper)))
    y = rng.binomial(x.astype(int), now).astype(np.float64)
    return watched(shopper, arm[shopper], x, y)


def watched(shopper: npt.NDArray[Any], arm: npt.NDArray[Any], x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Watched:
    """From sessions in their order, all [sessions]: whose, in which arm, shown items and clicks."""
    x_before, y_before, is_new = _before(shopper, x, y)
    steps = (
        is_new,
        x,
        y,
        (x_before + x) ** 2 - x_before**2,
        (x_before + x) * (y_before + y) - x_before * y_before,
        (y_before + y) ** 2 - y_before**2,
    )
    by_arm = [
        Moments(*(np.cumsum(np.where(arm == which, step, 0.0)) for step in steps)) for which in (CONTROL, TREATMENT)
    ]
    return Watched(*by_arm, shoppers=np.cumsum(is_new).astype(np.int64))


def _before(shopper: npt.NDArray[Any], x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """What each session's shopper had seen and clicked before it, and whether it is the shopper's first."""
    order = np.argsort(shopper, kind="stable")
    first = np.r_[True, np.diff(shopper[order]) != 0]
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    totals = []
    for values in (x, y):
        running = np.r_[0.0, np.cumsum(values[order])]
        before = np.empty(len(order))
        before[order] = running[:-1] - running[start]
        totals.append(before)
    is_new = np.empty(len(order))
    is_new[order] = first
    return totals[0], totals[1], is_new
