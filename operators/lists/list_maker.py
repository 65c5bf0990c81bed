"""A micro-batch of packed states -> encoded lists: features, scores, ranking, reasons, JSON. Job and oracle share it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import xxhash

from operators.configuration.shop_settings import ExperimentSettings, ListSettings
from operators.lists.catalogue import Catalogue
from operators.lists.experiments import Experiments
from operators.lists.fallback import Fallback, Usable
from operators.lists.ranker import GOOD, TIRED, Ranked, Ranker
from operators.lists.reasons import Reasons
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.unit_rows import unit_rows
from operators.records.contracts import ListItem, Model, Reason, RecommendationList, Source
from operators.shopper.features import Features, Rows, features
from operators.shopper.state_layout import read_states
from operators.shopper.user_state import order_of
from operators.time_units import HOUR_MS

if TYPE_CHECKING:  # fallback lists alone do not need ONNX Runtime
    from operators.model.scorer import Scorer

SCORE_DIGITS = 4


class ListSensors(Protocol):
    """Receives reports of a list maker, on the scorer thread."""

    def on_scores(self, scores: npt.NDArray[np.float32]) -> None:
        """The model has answered for a micro-batch: [B, K], best first."""

    def on_slates(
        self, requests: Sequence[Request], ranked: Ranked, inputs: Features, served: npt.NDArray[Any]
    ) -> None:
        """The model's lists of a micro-batch; `served` bool [B]: whether the model made the user's list."""


class NullListSensors:
    """Reports nothing."""

    def on_scores(self, scores: npt.NDArray[np.float32]) -> None:
        """Nothing."""

    def on_slates(
        self, requests: Sequence[Request], ranked: Ranked, inputs: Features, served: npt.NDArray[Any]
    ) -> None:
        """Nothing."""


class NotFinite(ArithmeticError):
    """The model gave NaN or infinity for a user."""


class ListMaker:
    """Makes lists with one bundle. `make` belongs to the scorer thread; `fallback` may be called from any thread."""

    def __init__(
        self,
        bundle: ModelBundle,
        scorer: "Scorer | None",
        catalogue: Catalogue,
        rules: ListSettings,
        clock_ms: Callable[[], int],
        experiments: Experiments | None = None,
        sensors: ListSensors | None = None,
    ) -> None:
        """Without a `scorer` (its bundle was refused) every list is a fallback."""
        vectors = unit_rows(bundle.vectors)
        self._vocabulary, self._window = bundle.vocabulary, bundle.window
        self._names = ["", *bundle.vocabulary.item_ids]  # by row
        self._ranks = range(1, rules.size + 1)
        self._model = Model(bundle.name, bundle.version)
        self._scorer = scorer
        self._catalogue = catalogue
        self._ranker = Ranker(bundle.vocabulary, vectors, rules)
        self._reasons = Reasons(bundle, vectors)
        self._fallback = Fallback(bundle, rules.size)
        self._rules = rules
        self._clock_ms = clock_ms
        self._experiments = experiments or Experiments(ExperimentSettings())
        self._sensors = sensors or NullListSensors()

    def make(self, requests: Sequence[Request]) -> list[RecommendationList | Exception]:
        """A list for each request, or the reason why the model has none for that user."""
        states = read_states([request.state for request in requests])
        inputs = features(states, self._vocabulary, self._window)
        now = self._clock_ms()
        allowed = self._catalogue.allowed(now)
        warm = inputs.length > 0  # the state of a user who refused consent holds no step
        lists: list[RecommendationList | Exception] = []
        if self._scorer is None or not warm.any():
            return [self._fallback_list(request, states, inputs, user) for user, request in enumerate(requests)]
        scores, rows = self._scorer.score(inputs)
        self._sensors.on_scores(scores)
        finite = np.isfinite(scores).all(axis=1)
        codes = self._catalogue.categories.by_row, self._catalogue.brands.by_row
        ranked = self._ranker.rank(rows, scores, states, allowed, *codes)
        reasons = self._reasons.of(ranked.rows, inputs)
        self._sensors.on_slates(requests, ranked, inputs, warm & finite)
        all_rows = ranked.rows.tolist()
        all_scores = np.round(ranked.scores.astype(np.float64), SCORE_DIGITS).tolist()
        for user, request in enumerate(requests):
            if not warm[user]:
                lists.append(self._fallback_list(request, states, inputs, user))
            elif not finite[user]:
                lists.append(NotFinite(f"scores of {request.user_id}"))
            else:
                places = all_rows[user], all_scores[user], reasons[user]
                if all_rows[user][-1] == 0:
                    places = self._filled(*places, self._usable(states[user : user + 1], allowed, TIRED))
                lists.append(self._list(request, "model", *places, now))
        return lists

    def fallback(self, request: Request) -> RecommendationList:
        """A list without the model."""
        states = read_states([request.state])
        return self._fallback_list(request, states, features(states, self._vocabulary, self._window), 0)

    def _fallback_list(
        self, request: Request, states: npt.NDArray[Any], inputs: Features, user: int
    ) -> RecommendationList:
        now = self._clock_ms()
        allowed, state = self._catalogue.allowed(now), states[user : user + 1]
        rows, scores, source = self._fallback.rows(inputs, user, self._usable(state, allowed, GOOD))
        rounded = [round(score, SCORE_DIGITS) for score in scores]
        return self._list(request, source, rows, rounded, self._reasons.without_history(rows), now)

    def _usable(self, state: npt.NDArray[Any], allowed: npt.NDArray[np.bool_], worst: int) -> Usable:
        """Whether rows may be listed for the shopper of a state [1]: the ranker's verdict is at most `worst`."""

        def usable(rows: Rows) -> npt.NDArray[np.bool_]:
            fine: npt.NDArray[np.bool_] = self._ranker.verdict(rows[None], state, allowed)[0] <= worst
            return fine

        return usable

    def _filled(
        self, rows: list[int], scores: list[float], reasons: list[Reason], usable: Usable
    ) -> tuple[list[int], list[float], list[Reason]]:
        """Popular items at the places that the rules left empty (row 0): the last ones."""
        ranked = len(rows) - rows.count(0)
        rows = self._fallback.fill(rows[:ranked], usable)
        added = len(rows) - ranked
        return rows, scores[:ranked] + [0.0] * added, reasons[:ranked] + self._reasons.without_history(rows[ranked:])

    def _list(
        self,
        request: Request,
        source: Source,
        rows: list[int],
        scores: list[float],
        reasons: list[Reason],
        now: int,
    ) -> RecommendationList:
        (epoch, version), names = order_of(request.state), self._names
        identity = f"{request.user_id}\0{epoch}.{version}\0{self._model.name}\0{self._model.version}"
        return RecommendationList(
            recommendation_id=xxhash.xxh3_128_hexdigest(identity.encode()),
            user_id=request.user_id,
            epoch=epoch,
            version=version,
            event_time=request.event_time,
            event_id=request.event_id,
            generated_at=now,
            model=self._model,
            experiment=self._experiments.of(request.user_id),
            source=source,
            items=[*map(ListItem, [names[row] for row in rows], scores, self._ranks, reasons)],
            expires_at=now + round(self._rules.ttl_hours * HOUR_MS),
            traceparent=request.traceparent,
        )
