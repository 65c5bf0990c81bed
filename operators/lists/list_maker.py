"""A micro-batch of packed states -> encoded lists: features, scores, ranking, reasons, JSON. Job and oracle share it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from operators.configuration.shop_settings import ExperimentSettings, ListSettings
from operators.demand.popularity import Orders
from operators.experiments.assignment import Experiments
from operators.kafka_io.list_rows import decode_any_list
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import Encoded, ListEncoder, Slate
from operators.lists.fallback import Fallback, Usable
from operators.lists.items_json import ItemsJson
from operators.lists.list_clicks import ListClicks, refuse_value_without_clicks
from operators.lists.popular_order import PopularOrder
from operators.lists.ranker import GOOD, TIRED, Ranked, Ranker
from operators.lists.reasons import PlaceReasons, Reasons
from operators.lists.request import Request
from operators.model.batch_trimming import Answers
from operators.model.click_head import NONE, packed
from operators.model.model_bundle import ModelBundle
from operators.model.unit_rows import unit_rows
from operators.records.contracts import Model, RecommendationList
from operators.shopper.features import Features, Rows, features
from operators.shopper.state_layout import read_states
from operators.telemetry.timeline import BatchTimes
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
    """Makes lists with one bundle. `make_encoded` and `make` belong to the scorer thread; `encoded_fallback` may be called
    from any thread."""

    def __init__(
        self,
        bundle: ModelBundle,
        scorer: "Scorer | None",
        catalogue: Catalogue,
        rules: ListSettings,
        clock_ms: Callable[[], int],
        experiments: Experiments | None = None,
        sensors: ListSensors | None = None,
        *,
        with_facts: bool = False,
        live: Callable[[], Orders | None] = lambda: None,
    ) -> None:
        """Without a `scorer` (its bundle was refused) every list is a fallback. `with_facts`: encoded lists carry what the
        feedback join needs. `live`: as in `PopularOrder`. Raises `BundleError` where the bundle cannot do what `rules` say."""
        if scorer is not None:
            refuse_value_without_clicks(bundle, rules)
        vectors = unit_rows(bundle.vectors)
        self._vocabulary, self._window, self._hop = bundle.vocabulary, bundle.window, bundle.hop
        self._clicks = None if bundle.clicks is None else ListClicks(bundle.clicks, catalogue.worth)
        self._by_value = rules.rank_by == "value"
        self._items = ItemsJson(bundle.vocabulary.item_ids, rules.size, with_clicks=self._clicks is not None)
        self._encoder = ListEncoder(
            Model(bundle.name, bundle.version),
            experiments or Experiments(ExperimentSettings()),
            round(rules.ttl_hours * HOUR_MS),
        )
        self._scorer = scorer
        self._catalogue = catalogue
        self._ranker = Ranker(bundle.vocabulary, vectors, rules)
        popular = PopularOrder(bundle, live)
        self._reasons = Reasons(popular, vectors)
        self._fallback = Fallback(bundle, popular, rules.size)
        self._clock_ms = clock_ms
        self._sensors = sensors or NullListSensors()
        self._item_hashes = bundle.vocabulary.low_hashes.astype("<u4") if with_facts else None

    def make(self, requests: Sequence[Request]) -> list[RecommendationList | Exception]:
        """The lists of `make_encoded` as objects, for readers that compare lists."""
        return [
            answer if isinstance(answer, Exception) else decode_any_list(answer.value)
            for answer in self.make_encoded(requests)
        ]

    def make_encoded(
        self, requests: Sequence[Request], times: BatchTimes | None = None, *, with_digest: bool = False
    ) -> list[Encoded | Exception]:
        """A list for each request, or the reason why the model has none for that user.

        Each list carries `times`, and where `with_digest` is set a fingerprint of its state.
        """
        states = read_states([request.state for request in requests])
        inputs = self._features(states)
        now = self._clock_ms()
        slates = self._slates(requests, states, inputs, now)
        orders = zip(states["epoch_s"].tolist(), states["version"].tolist(), strict=True)
        encode = self._encoder.encode
        return [
            slate
            if isinstance(slate, Exception)
            else encode(request, order, slate, now, times, with_digest=with_digest)
            for request, order, slate in zip(requests, orders, slates, strict=True)
        ]

    def encoded_fallback(
        self, request: Request, times: BatchTimes | None = None, *, with_digest: bool = False
    ) -> Encoded:
        """A list without the model."""
        states, now = read_states([request.state]), self._clock_ms()
        slate = self._fallback_slate(states, self._features(states), 0, now)
        order = int(states["epoch_s"][0]), int(states["version"][0])
        return self._encoder.encode(request, order, slate, now, times, with_digest=with_digest)

    def _features(self, states: npt.NDArray[Any]) -> Features:
        return features(states, self._vocabulary, self._window, self._hop)

    def _slates(
        self, requests: Sequence[Request], states: npt.NDArray[Any], inputs: Features, now: int
    ) -> list[Slate | Exception]:
        warm = inputs.length > 0  # the state of a user who refused consent holds no step
        if self._scorer is None or not warm.any():
            return [self._fallback_slate(states, inputs, user, now) for user in range(len(requests))]
        allowed = self._catalogue.allowed(now)
        score = self._scorer.score if self._clicks is None else self._scorer.answers
        answers = score(inputs, [request.user_id for request in requests])
        self._sensors.on_scores(answers[0])
        finite = np.isfinite(answers[0]).all(axis=1)
        ranked, clicks = self._ranked(answers, states, allowed)
        reasons = self._reasons.of(ranked.rows, inputs)
        self._sensors.on_slates(requests, ranked, inputs, warm & finite)
        rounded = ranked.scores.astype(np.float64).round(SCORE_DIGITS)
        all_items = self._items.encode(ranked.rows, rounded, reasons, clicks)
        facts = self._hashes_of(ranked.rows), self._packed(clicks)
        slates: list[Slate | Exception] = [Slate("model", *of_list) for of_list in zip(all_items, *facts, strict=False)]
        for user in np.flatnonzero(~(warm & finite) | (ranked.rows[:, -1] == 0)).tolist():
            if not warm[user]:
                slates[user] = self._fallback_slate(states, inputs, user, now)
            elif not finite[user]:
                slates[user] = NotFinite(f"scores of {requests[user].user_id}")
            else:
                usable = self._usable(states[user : user + 1], allowed, TIRED)
                own_clicks = None if clicks is None else clicks[user]
                slates[user] = self._filled(ranked.rows[user], rounded[user], reasons.of_list(user), usable, own_clicks)
        return slates

    def _ranked(
        self, answers: Answers, states: npt.NDArray[Any], allowed: npt.NDArray[np.bool_]
    ) -> tuple[Ranked, Rows | None]:
        """The lists, and the click probabilities of their items in steps; None where the bundle has no click head."""
        scores, rows, *vectors = answers
        rules = states, allowed, self._catalogue.categories.by_row, self._catalogue.brands.by_row
        if self._clicks is None:
            return self._ranker.rank(rows, scores, *rules), None
        if self._by_value:
            valued = self._clicks.by_value(vectors[0], scores, rows)
            ranked = self._ranker.rank(valued.rows, valued.values, *rules)
            return ranked, valued.steps_of(ranked)
        ranked = self._ranker.rank(rows, scores, *rules)
        return ranked, self._clicks.of_listed(vectors[0], scores, ranked)

    def _fallback_slate(self, states: npt.NDArray[Any], inputs: Features, user: int, now: int) -> Slate:
        usable = self._usable(states[user : user + 1], self._catalogue.allowed(now), GOOD)
        rows, scores, source = self._fallback.rows(inputs, user, usable)
        listed = np.array([rows], dtype=np.int32)
        rounded = np.array([[round(score, SCORE_DIGITS) for score in scores]])
        (items,) = self._items.encode(listed, rounded, self._reasons.without_history(listed))
        return Slate(source, items, next(self._hashes_of(listed)))

    def _usable(self, state: npt.NDArray[Any], allowed: npt.NDArray[np.bool_], worst: int) -> Usable:
        """Whether rows may be listed for the shopper of a state [1]: the ranker's verdict is at most `worst`."""

        def usable(rows: Rows) -> npt.NDArray[np.bool_]:
            fine: npt.NDArray[np.bool_] = self._ranker.verdict(rows[None], state, allowed)[0] <= worst
            return fine

        return usable

    def _filled(
        self,
        rows: Rows,
        scores: npt.NDArray[np.float64],
        reasons: PlaceReasons,
        usable: Usable,
        clicks: Rows | None,
    ) -> Slate:
        """The list with popular items at the places that the rules left empty (row 0): the last ones.

        `rows`, `scores`, `clicks`: [places]; `reasons`: a batch of this list alone.
        """
        ranked = int(np.count_nonzero(rows))
        listed = np.array([self._fallback.fill(rows[:ranked].tolist(), usable)], dtype=np.int32)
        all_scores = np.zeros(listed.shape)
        all_scores[0, :ranked] = scores[:ranked]
        popular = self._reasons.without_history(listed[:, ranked:])
        all_clicks = None
        if clicks is not None:
            all_clicks = np.full(listed.shape, NONE, dtype=np.int32)
            all_clicks[0, :ranked] = clicks[:ranked]
        (items,) = self._items.encode(listed, all_scores, reasons.first(ranked).followed_by(popular), all_clicks)
        return Slate("model", items, next(self._hashes_of(listed)), next(self._packed(all_clicks)))

    def _hashes_of(self, rows: Rows) -> Iterator[bytes | None]:
        """The hashes of the items of each list, as in `ListFacts`; None for ever where nobody needs them."""
        if self._item_hashes is None:
            return repeat(None)
        return (of_list.tobytes() for of_list in self._item_hashes[rows])

    def _packed(self, clicks: Rows | None) -> Iterator[bytes | None]:
        """The click probabilities of each list, as in `ListFacts`; None for ever where there are none or nobody needs them."""
        if self._item_hashes is None or clicks is None:
            return repeat(None)
        return map(packed, clicks)
