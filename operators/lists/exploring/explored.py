"""The places of a micro-batch's lists that explore, and the propensities of all places."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from operators.lists.popular_order import REASON_KINDS
from operators.lists.reasons import PlaceReasons
from operators.shopper.features import Rows

NEW, EXPLORE = REASON_KINDS.index("new"), REASON_KINDS.index("explore")


class Drawn(NamedTuple):
    """Items for one place of some lists, arrays of one length. `rows`: of known items, 0 for newcomers; `likes`: the row that a
    newcomer is like, else 0; `lows`: low hashes of newcomers, else 0; `chances`: the probability of the item at its place."""

    lists: npt.NDArray[np.intp]
    rows: Rows
    scores: npt.NDArray[np.float32]
    likes: Rows
    lows: npt.NDArray[np.uint32]
    chances: npt.NDArray[np.float64]

    @classmethod
    def nothing(cls) -> "Drawn":
        """For no list."""
        nothing = np.zeros(0, dtype=np.int32)
        return cls(
            nothing.astype(np.intp),
            nothing,
            nothing.astype(np.float32),
            nothing,
            nothing.astype(np.uint32),
            nothing.astype(np.float64),
        )

    def followed_by(self, others: "Drawn") -> "Drawn":
        """The items of both."""
        return Drawn(
            np.concatenate((self.lists, others.lists)),
            np.concatenate((self.rows, others.rows)),
            np.concatenate((self.scores, others.scores)),
            np.concatenate((self.likes, others.likes)),
            np.concatenate((self.lows, others.lows)),
            np.concatenate((self.chances, others.chances)),
        )


@dataclass(frozen=True)
class Explored:
    """`drawn`: known items first, then newcomers, whose ids are `names`; `at` intp: the place of each in its list.

    `possible` bool [B]: lists that could explore; each place from `first` on then keeps the ranker's item with probability
    `usual`.
    """

    drawn: Drawn
    at: npt.NDArray[np.intp]
    names: list[str]
    possible: npt.NDArray[np.bool_]
    usual: float
    first: int

    @classmethod
    def nothing(cls, lists: int) -> "Explored":
        """No place explores, and none could."""
        nowhere = np.zeros(0, dtype=np.intp)
        return cls(Drawn.nothing(), nowhere, [], np.zeros(lists, dtype=bool), 1.0, 0)

    @property
    def names_from(self) -> int:
        """The number of the first newcomer."""
        return len(self.at) - len(self.names)

    def put(self, rows: Rows, scores: npt.NDArray[np.float32], reasons: PlaceReasons) -> None:
        """Writes the items, but the ids of newcomers, into lists, all [B, places]."""
        drawn, cells = self.drawn, (self.drawn.lists, self.at)
        rows[cells], scores[cells] = drawn.rows, drawn.scores
        reasons.kinds[cells] = np.where(drawn.rows > 0, EXPLORE, NEW)
        reasons.rows[cells] = drawn.likes

    def propensities(self, places: int) -> npt.NDArray[np.float32]:
        """float32 [B, places]: the probability of each item at its place."""
        values = np.ones((len(self.possible), places), dtype="<f4")
        values[self.possible, self.first :] = self.usual
        values[self.drawn.lists, self.at] = self.drawn.chances
        return values
