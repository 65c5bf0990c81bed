"""Sums over the users of one arm, and the rate that they give with its variance.

A user's shown items are not independent, so the user is the unit: the rate is a ratio of two sums over users, and its
variance is that of the delta method (Deng, Knoblich, Lu, "Applying the Delta Method in Metric Analytics", KDD 2018).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Sums over users of x and y (shown items and conversions, say), of their squares and of their product.

    Arrays of one shape: a state of the experiment for each element, or no dimension for one state.
    """

    users: Floats
    x: Floats
    y: Floats
    xx: Floats
    xy: Floats
    yy: Floats

    @classmethod
    def of(cls, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> "Moments":
        """From a value for each user [users]."""
        sums = (float(len(x)), x.sum(), y.sum(), (x * x).sum(), (x * y).sum(), (y * y).sum())
        return cls(*(np.asarray(value, dtype=np.float64) for value in sums))

    @property
    def rate(self) -> Floats:
        """Sum of y by sum of x; 0 where x is 0."""
        return divided(self.y, self.x)

    def together(self, other: "Moments") -> "Moments":
        """Of the users of both; no user may be in both."""
        return Moments(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def variance(self) -> Floats:
        """Of `rate`; 0 below two users."""
        return self.variance_about(self.rate)

    def variance_about(self, rate: Floats) -> Floats:
        """Of the ratio of sums if its true value is `rate`; 0 below two users."""
        squares = self.yy - 2 * rate * self.xy + rate * rate * self.xx  # sum over users of (y - rate * x)^2
        return divided(np.maximum(squares, 0) * self.users, (self.users - 1) * self.x * self.x)

    @property
    def effective_users(self) -> Floats:
        """Kish's effective size of x: below `users` where few users have most of it."""
        return divided(self.x * self.x, self.xx)

    @property
    def effective_converters(self) -> Floats:
        """Kish's effective size of y."""
        return divided(self.y * self.y, self.yy)


def divided(above: Floats, below: Floats) -> Floats:
    """The quotient, 0 where `below` is not above 0."""
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)
