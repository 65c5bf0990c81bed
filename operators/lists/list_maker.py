"""A micro-batch of packed states -> encoded lists: features, scores, ranking, reasons, JSON. Job and oracle share it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from operators.configuration.shop_settings import ExperimentSettings, ExplorationSettings, ListSettings
from operators.demand.popularity import Orders
from operators.experiments.assignment import Assigned, Experiments
from operators.experiments.effects import AS_SET, Effects
from operators.experiments.plan import MAX_LIST_SIZE
from operators.exploration.pool import Pool
from operators.kafka_io.list_rows import decode_any_list
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import Encoded, ListEncoder, Slate
from operators.lists.exploring.explored import Explored
from operators.lists.exploring.explorer import Candidates, Explorer
from operators.lists.fallback import Fallback, Usable
from operators.lists.items.items_json import ItemsJson
from operators.lists.items.slates import Slates
from operators.lists.list_clicks import ListClicks, refuse_value_without_clicks
from operators.lists.list_sensors import ListSensors, NullListSensors
from operators.lists.popular_order import PopularOrder
from operators.lists.ranker import GOOD, TIRED, Ranked, Ranker, form_of
from operators.lists.reasons import PlaceReasons, Reasons
from operators.lists.request import Request
from operators.lists.scored_batch import NotFinite, ScoredBatch
from operators.model.click_head import NONE
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
        exploration: ExplorationSettings | None = None,
        pool: Callable[[], Pool | None] = lambda: None,
    ) -> None:
        """Without a `scorer` (its bundle was refused) every list is a fallback. `with_facts`: encoded lists carry what the
        feedback join needs. `live`: as in `PopularOrder`, `pool`: as in `Explorer`. Raises `BundleError` where the bundle cannot
        do what `rules` say."""
        if scorer is not None:
            refuse_value_without_clicks(bundle, rules)
        vectors, is_exploring = unit_rows(bundle.vectors), exploration is not None and exploration.enabled
        self._vocabulary, self._window, self._hop = bundle.vocabulary, bundle.window, bundle.hop
        self._clicks = None if bundle.clicks is None else ListClicks(bundle.clicks, catalogue.worth)
        places, has_clicks = max(rules.size, MAX_LIST_SIZE), self._clicks is not None
        hashes = bundle.vocabulary.low_hashes.astype("<u4") if with_facts else None
        self._slate_encoder = Slates(ItemsJson(bundle.vocabulary.item_ids, places, with_clicks=has_clicks), hashes)
        experiments = experiments or Experiments(ExperimentSettings())
        self._assigned, self._rules = experiments.assigned, rules
        self._encoder = ListEncoder(Model(bundle.name, bundle.version), experiments, round(rules.ttl_hours * HOUR_MS))
        self._scorer = scorer
        self._catalogue = catalogue
        self._ranker = Ranker(bundle.vocabulary, vectors, rules, with_others=is_exploring)
        self._explorer: Explorer | None = None
        self._certain: Explored | None = None  # what a list explores that cannot
        if exploration is not None and exploration.enabled:
            self._explorer = Explorer(exploration, rules, self._ranker, catalogue, pool)
            self._certain = Explored.nothing(1)
        popular = PopularOrder(bundle, live)
        self._reasons = Reasons(popular, vectors)
        self._fallback = Fallback(bundle, popular)
        self._clock_ms = clock_ms
        self._sensors = sensors or NullListSensors()

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
        now, assigned = self._clock_ms(), [self._assigned(request.user_id) for request in requests]
        slates = self._slates(requests, states, inputs, now, assigned)
        orders = zip(states["epoch_s"].tolist(), states["version"].tolist(), strict=True)
        encode = self._encoder.encode
        return [
            slate
            if isinstance(slate, Exception)
            else encode(request, order, slate, now, times, assigned=of_user, with_digest=with_digest)
            for request, order, slate, of_user in zip(requests, orders, slates, assigned, strict=True)
        ]

    def encoded_fallback(
        self, request: Request, times: BatchTimes | None = None, *, with_digest: bool = False
    ) -> Encoded:
        """A list without the model."""
        states, now, assigned = read_states([request.state]), self._clock_ms(), self._assigned(request.user_id)
        slate = self._fallback_slate(states, self._features(states), 0, now, assigned.effects)
        order = int(states["epoch_s"][0]), int(states["version"][0])
        return self._encoder.encode(request, order, slate, now, times, assigned=assigned, with_digest=with_digest)

    def _features(self, states: npt.NDArray[Any]) -> Features:
        return features(states, self._vocabulary, self._window, self._hop)

    def _slates(
        self,
        requests: Sequence[Request],
        states: npt.NDArray[Any],
        inputs: Features,
        now: int,
        assigned: Sequence[Assigned],
    ) -> list[Slate | Exception]:
        effects = [of_user.effects for of_user in assigned]
        warm = inputs.length > 0  # the state of a user who refused consent holds no step
        if self._scorer is None or not warm.any():
            return [self._fallback_slate(states, inputs, user, now, of_user) for user, of_user in enumerate(effects)]
        answers = self._scorer.answers(inputs, [request.user_id for request in requests])
        batch = ScoredBatch(requests, states, inputs, answers, warm & np.isfinite(answers[0]).all(axis=1))
        if all(of_user is AS_SET for of_user in effects):
            slates = self._model_slates(batch, now, ())
        else:  # lists of an arm have forms of their own, and explore nothing
            slates = [NotFinite()] * len(requests)
            for has_effect in (False, True):
                users = [user for user, of_user in enumerate(effects) if (of_user is not AS_SET) == has_effect]
                of_part = [effects[user] for user in users] if has_effect else ()
                for user, slate in zip(users, self._model_slates(batch.of(users), now, of_part), strict=True):
                    slates[user] = slate
        for user in np.flatnonzero(~warm).tolist():
            slates[user] = self._fallback_slate(states, inputs, user, now, effects[user])
        return slates

    def _model_slates(self, batch: ScoredBatch, now: int, effects: Sequence[Effects]) -> list[Slate | Exception]:
        """The lists of scored users; `effects`: of each user's arms, empty: nobody has any."""
        if not batch.requests:
            return []
        self._sensors.on_scores(batch.scores)
        allowed = self._catalogue.allowed(now)
        candidates, ranked, clicks = self._ranked(batch, allowed, effects)
        reasons = self._reasons.of(ranked.rows, batch.inputs)
        self._sensors.on_slates(batch.requests, ranked, batch.inputs, batch.usable)
        ready = batch.usable & (ranked.last > 0)
        explored = None if effects else self._explored(batch.requests, candidates, ranked, ready)
        if explored is not None:
            explored.put(ranked.rows, ranked.scores, reasons)
            if clicks is not None:
                clicks[explored.drawn.lists, explored.at] = NONE
        rounded = ranked.scores.astype(np.float64).round(SCORE_DIGITS)
        slates = self._encoded(ranked, rounded, reasons, explored, clicks)
        for user in np.flatnonzero(~ready).tolist():
            if not batch.usable[user]:
                slates[user] = NotFinite(f"scores of {batch.requests[user].user_id}")
            else:
                usable = self._usable(batch.states[user : user + 1], allowed, TIRED)
                size, _ = form_of(effects[user] if effects else AS_SET, self._rules)
                own = ranked.rows[user], rounded[user], None if clicks is None else clicks[user]
                slates[user] = self._filled(*own, reasons.of_list(user), usable, size)
        return slates

    def _ranked(
        self, batch: ScoredBatch, allowed: npt.NDArray[np.bool_], effects: Sequence[Effects]
    ) -> tuple[Candidates, Ranked, Rows | None]:
        """The candidates in the shop's order (`lists.rank_by`), the lists, and the click probabilities of their items in steps;
        None where the bundle has no click head."""
        scores, rows = batch.scores, batch.rows
        candidates = Candidates(rows, scores, batch.states)
        rules = batch.states, allowed, self._catalogue.categories.by_row, self._catalogue.brands.by_row, effects
        if self._clicks is None:
            return candidates, self._ranker.rank(rows, scores, *rules), None
        if self._rules.rank_by == "value":
            valued = self._clicks.by_value(batch.answers[2], scores, rows)
            ranked = self._ranker.rank(valued.rows, valued.values, *rules)
            return Candidates(valued.rows, valued.values, batch.states), ranked, valued.steps_of(ranked)
        ranked = self._ranker.rank(rows, scores, *rules)
        return candidates, ranked, self._clicks.of_listed(batch.answers[2], scores, ranked)

    def _encoded(
        self,
        ranked: Ranked,
        scores: npt.NDArray[np.float64],
        reasons: PlaceReasons,
        explored: Explored | None,
        clicks: Rows | None,
    ) -> list[Slate | Exception]:
        """The lists as ranked, in groups of one length. `scores`: as they are written."""
        if ranked.sizes is None:
            return [*self._slate_encoder.encode("model", ranked.rows, scores, reasons, explored, clicks)]
        slates: list[Slate | Exception] = [NotFinite()] * len(scores)
        for size in np.unique(ranked.sizes).tolist():
            users = np.flatnonzero(ranked.sizes == size)
            of_users = PlaceReasons(*(array[users, :size] for array in reasons))
            certain = None if self._explorer is None else Explored.nothing(len(users))
            of_size = None if clicks is None else clicks[users, :size]
            group = self._slate_encoder.encode(
                "model", ranked.rows[users, :size], scores[users, :size], of_users, certain, of_size
            )
            for user, slate in zip(users.tolist(), group, strict=True):
                slates[user] = slate
        return slates

    def _explored(
        self, requests: Sequence[Request], candidates: Candidates, ranked: Ranked, ready: npt.NDArray[np.bool_]
    ) -> Explored | None:
        if self._explorer is None:
            return None
        explored = self._explorer.explore(requests, candidates, ranked, ready)
        self._sensors.on_explored(explored, int(np.count_nonzero(ready)) * ranked.rows.shape[1])
        return explored

    def _fallback_slate(
        self, states: npt.NDArray[Any], inputs: Features, user: int, now: int, effects: Effects
    ) -> Slate:
        size, _ = form_of(effects, self._rules)
        usable = self._usable(states[user : user + 1], self._catalogue.allowed(now), GOOD)
        rows, scores, source = self._fallback.rows(inputs, user, usable, size)
        listed = np.array([rows], dtype=np.int32)
        rounded = np.array([[round(score, SCORE_DIGITS) for score in scores]])
        (slate,) = self._slate_encoder.encode(
            source, listed, rounded, self._reasons.without_history(listed), self._certain
        )
        return slate

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
        clicks: Rows | None,
        reasons: PlaceReasons,
        usable: Usable,
        size: int,
    ) -> Slate:
        """The list with popular items at the places that the rules left empty (row 0): the last ones.

        `rows`, `scores`, `clicks`: [places]; `reasons`: a batch of this list alone.
        """
        ranked = int(np.count_nonzero(rows))
        listed = np.array([self._fallback.fill(rows[:ranked].tolist(), usable, size)], dtype=np.int32)
        all_scores = np.zeros(listed.shape)
        all_scores[0, :ranked] = scores[:ranked]
        popular = self._reasons.without_history(listed[:, ranked:])
        all_clicks = None
        if clicks is not None:
            all_clicks = np.full(listed.shape, NONE, dtype=np.int32)
            all_clicks[0, :ranked] = clicks[:ranked]
        (slate,) = self._slate_encoder.encode(
            "model", listed, all_scores, reasons.first(ranked).followed_by(popular), self._certain, all_clicks
        )
        return slate
