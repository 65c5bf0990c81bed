"""A micro-batch that the model has scored."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from operators.lists.request import Request
from operators.model.batch_trimming import Answers
from operators.shopper.features import Features, Rows


class NotFinite(ArithmeticError):
    """The model gave NaN or infinity for a user."""


class ScoredBatch(NamedTuple):
    """Users with the graph's `answers`, as `operators.model.scorer.Scorer.answers` gives them; `states` [B]; `usable` bool [B]:
    whether a list can be made of them."""

    requests: Sequence[Request]
    states: npt.NDArray[Any]
    inputs: Features
    answers: Answers
    usable: npt.NDArray[np.bool_]

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """float32 [B, K]: of the candidates, best first."""
        scores: npt.NDArray[np.float32] = self.answers[0]
        return scores

    @property
    def rows(self) -> Rows:
        """int32 [B, K]: the candidates."""
        rows: Rows = self.answers[1]
        return rows

    def of(self, users: Sequence[int]) -> "ScoredBatch":
        """These users alone."""
        at = np.array(users, dtype=np.intp)
        requests, answers = [self.requests[user] for user in users], tuple(answer[at] for answer in self.answers)
        return ScoredBatch(requests, self.states[at], self.inputs.where(at), answers, self.usable[at])
