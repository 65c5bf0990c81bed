"""Reports of a list maker."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from operators.lists.exploring.explored import Explored
from operators.lists.ranker import Ranked
from operators.lists.request import Request
from operators.shopper.features import Features


class ListSensors(Protocol):
    """Receives reports of a list maker, on the scorer thread."""

    def on_scores(self, scores: npt.NDArray[np.float32]) -> None:
        """The model has answered for a micro-batch: [B, K], best first."""

    def on_slates(
        self, requests: Sequence[Request], ranked: Ranked, inputs: Features, served: npt.NDArray[Any]
    ) -> None:
        """The model's lists of a micro-batch, before exploration; `served` bool [B]: whether the model made the user's list."""

    def on_explored(self, explored: Explored, places: int) -> None:
        """What the lists of a micro-batch explore, of so many places in all."""


class NullListSensors:
    """Reports nothing."""

    def on_scores(self, scores: npt.NDArray[np.float32]) -> None:
        """Nothing."""

    def on_slates(
        self, requests: Sequence[Request], ranked: Ranked, inputs: Features, served: npt.NDArray[Any]
    ) -> None:
        """Nothing."""

    def on_explored(self, explored: Explored, places: int) -> None:
        """Nothing."""
