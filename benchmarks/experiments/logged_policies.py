"""A logged policy and another one whose true value is known: bias and coverage of the off-policy estimates."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.experiments.off_policy import Choices, PolicyValue, doubly_robust, ips, snips

KINDS, ITEMS = 4, 20  # kinds of shoppers, and items that compete for a place


@dataclass(frozen=True)
class Estimates:
    """Of one estimator over the runs. `bias`: mean error in shares of the truth. `coverage`: share of the intervals that hold the
    truth. `width`: mean of the intervals, in shares of the truth."""

    bias: float
    coverage: float
    width: float


class LoggedShop:
    """Shoppers of kinds with tastes; a policy that explores, and a sharper one that is to be judged."""

    def __init__(self, seed: int, exploration: float = 0.2) -> None:
        """`exploration`: the share of places that the logged policy fills at random."""
        rng = np.random.default_rng(seed)
        self._taste = rng.beta(1.0, 12.0, (KINDS, ITEMS)).clip(max=0.5)  # times the eagerness at most 1
        noisy = np.log(self._taste) + rng.normal(0, 1, (KINDS, ITEMS))
        self._logged = (1 - exploration) * _softmax(noisy) + exploration / ITEMS
        self._target = _softmax(1.5 * np.log(self._taste) + rng.normal(0, 0.5, (KINDS, ITEMS)))
        self._predicted = np.clip(0.6 * self._taste + rng.normal(0, 0.03, (KINDS, ITEMS)), 0, 1)  # wrong on purpose
        self.truth = float((self._target * self._taste).sum(axis=1).mean())

    def choices(self, users: int, rng: np.random.Generator) -> tuple[Choices, npt.NDArray[Any], npt.NDArray[Any]]:
        """Choices of `users` shoppers, and the predictions for the doubly robust estimate."""
        user = np.repeat(np.arange(users), 1 + rng.poisson(4, users))
        kind = rng.integers(KINDS, size=users)[user]
        eagerness = rng.beta(2, 2, users)[user] * 2  # a shopper clicks more often or less: choices are not independent
        item = (rng.random(len(user))[:, None] > self._logged[kind].cumsum(axis=1)).sum(axis=1).clip(max=ITEMS - 1)
        reward = (rng.random(len(user)) < self._taste[kind, item] * eagerness).astype(np.float64)
        choices = Choices(user, self._logged[kind, item], self._target[kind, item], reward)
        return choices, self._predicted[kind, item], (self._target * self._predicted).sum(axis=1)[kind]


def coverage(shop: LoggedShop, users: int, runs: int, seed: int) -> dict[str, Estimates]:
    """Estimator -> how it did over the runs."""
    rng = np.random.default_rng(seed)
    values: dict[str, list[PolicyValue]] = {"IPS": [], "SNIPS": [], "doubly robust": []}
    for _ in range(runs):
        choices, predicted, predicted_target = shop.choices(users, rng)
        values["IPS"].append(ips(choices))
        values["SNIPS"].append(snips(choices))
        values["doubly robust"].append(doubly_robust(choices, predicted, predicted_target))
    return {name: _estimates(of_name, shop.truth) for name, of_name in values.items()}


def _estimates(values: list[PolicyValue], truth: float) -> Estimates:
    def mean(of: Callable[[PolicyValue], float]) -> float:
        return float(np.mean([of(value) for value in values]))

    return Estimates(
        bias=mean(lambda value: value.estimate) / truth - 1,
        coverage=mean(lambda value: value.interval[0] <= truth <= value.interval[1]),
        width=mean(lambda value: value.interval[1] - value.interval[0]) / truth,
    )


def _softmax(scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
