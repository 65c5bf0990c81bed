"""The click probabilities of lists, and candidates in the order of their expected value (`lists.rank_by`)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from operators.configuration.shop_settings import ListSettings
from operators.errors import BundleError
from operators.lists.ranker import Ranked
from operators.lists.worth import Worth
from operators.model.click_head import ClickHead, Floats, in_steps
from operators.model.model_bundle import ModelBundle
from operators.shopper.features import Rows


class Valued(NamedTuple):
    """Candidates [B, K] by falling value: their rows, values and click probabilities."""

    rows: Rows
    values: Floats
    probabilities: npt.NDArray[np.float64]

    def steps_of(self, ranked: Ranked) -> Rows:
        """The probabilities of listed candidates, as `in_steps`."""
        places = (ranked.rows[:, :, None] == self.rows[:, None, :]).argmax(axis=2)
        return in_steps(np.take_along_axis(self.probabilities, places, axis=1))


class ListClicks:
    """Computes with the click head of a bundle."""

    def __init__(self, head: ClickHead, worth: Worth) -> None:
        self._head, self._worth = head, worth

    def of_listed(self, vectors: Floats, candidates: Floats, ranked: Ranked) -> Rows:
        """int32 [B, places], as `in_steps`, of lists that are ranked by score.

        `vectors` [B, d + 1]: of the graph; `candidates`: the scores of all candidates [B, K].
        """
        return in_steps(self._head.probabilities(self._head.logits(vectors, candidates, ranked.rows, ranked.scores)))

    def by_value(self, vectors: Floats, scores: Floats, rows: Rows) -> Valued:
        """All candidates by p_click x price x margin; of equal values the better score first."""
        probabilities = self._head.probabilities(self._head.logits(vectors, scores, rows, scores))
        values = probabilities * self._worth.by_row()[rows]
        order = np.argsort(-values, axis=1, kind="stable")
        rows, values, probabilities = (
            np.take_along_axis(each, order, axis=1) for each in (rows, values, probabilities)
        )
        return Valued(rows, values.astype(np.float32), probabilities)


def refuse_value_without_clicks(bundle: ModelBundle, rules: ListSettings) -> None:
    """Raises `BundleError` where lists shall be ranked by value and the bundle has no click head."""
    if rules.rank_by == "value" and bundle.clicks is None:
        raise BundleError(
            'a bundle that serves p_click, for lists.rank_by = "value"',
            f"{bundle.name} {bundle.version}, which was trained without the session task",
            'train it with --session-weight 0.2, or set lists.rank_by = "score"',
        )
