"""A micro-batch of packed states -> encoded lists: features, scores, ranking, reasons, JSON. Job and oracle share it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

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
from operators.lists.explored import Explored
from operators.lists.explorer import Candidates, Explorer
from operators.lists.fallback import Fallback, Usable
from operators.lists.items_json import ItemsJson
from operators.lists.list_sensors import ListSensors, NullListSensors
from operators.lists.popular_order import PopularOrder
from operators.lists.ranker import GOOD, TIRED, Ranked, Ranker, form_of
from operators.lists.reasons import PlaceReasons, Reasons
from operators.lists.request import Request
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


class NotFinite(ArithmeticError):
    """The model gave NaN or infinity for a user."""


class _Scored(NamedTuple):
    """Users whom the model scored. `rows`, `scores` [B, K]: the candidates, best first; `usable` bool [B]: whether a list can
    be made of them."""

    requests: Sequence[Request]
    states: npt.NDArray[Any]
    inputs: Features
    rows: Rows
    scores: npt.NDArray[np.float32]
    usable: npt.NDArray[np.bool_]

    def of(self, users: Sequence[int]) -> "_Scored":
        """These users alone."""
        at = np.array(users, dtype=np.intp)
        requests = [self.requests[user] for user in users]
        return _Scored(
            requests, self.states[at], self.inputs.where(at), self.rows[at], self.scores[at], self.usable[at]
        )


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
        feedback join needs. `live`: as in `PopularOrder`, `pool`: as in `Explorer`."""
        vectors, is_exploring = unit_rows(bundle.vectors), exploration is not None and exploration.enabled
        self._vocabulary, self._window, self._hop = bundle.vocabulary, bundle.window, bundle.hop
        self._items = ItemsJson(bundle.vocabulary.item_ids, max(rules.size, MAX_LIST_SIZE))
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
        scores, rows = self._scorer.score(inputs, [request.user_id for request in requests])
        batch = _Scored(requests, states, inputs, rows, scores, warm & np.isfinite(scores).all(axis=1))
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

    def _model_slates(self, batch: _Scored, now: int, effects: Sequence[Effects]) -> list[Slate | Exception]:
        """The lists of scored users; `effects`: of each user's arms, empty: nobody has any."""
        if not batch.requests:
            return []
        self._sensors.on_scores(batch.scores)
        allowed, codes = (
            self._catalogue.allowed(now),
            (self._catalogue.categories.by_row, self._catalogue.brands.by_row),
        )
        ranked = self._ranker.rank(batch.rows, batch.scores, batch.states, allowed, *codes, effects)
        reasons = self._reasons.of(ranked.rows, batch.inputs)
        self._sensors.on_slates(batch.requests, ranked, batch.inputs, batch.usable)
        ready = batch.usable & (ranked.last > 0)
        explored = None if effects else self._explored(batch, ranked, ready)
        if explored is not None:
            explored.put(ranked.rows, ranked.scores, reasons)
        rounded = ranked.scores.astype(np.float64).round(SCORE_DIGITS)
        slates = self._encoded(ranked, rounded, reasons, explored)
        for user in np.flatnonzero(~ready).tolist():
            if not batch.usable[user]:
                slates[user] = NotFinite(f"scores of {batch.requests[user].user_id}")
            else:
                usable = self._usable(batch.states[user : user + 1], allowed, TIRED)
                size, _ = form_of(effects[user] if effects else AS_SET, self._rules)
                slates[user] = self._filled(ranked.rows[user], rounded[user], reasons.of_list(user), usable, size)
        return slates

    def _encoded(
        self,
        ranked: Ranked,
        scores: npt.NDArray[np.float64],
        reasons: PlaceReasons,
        explored: Explored | None,
    ) -> list[Slate | Exception]:
        """The lists as ranked, in groups of one length. `scores`: as they are written."""
        if ranked.sizes is None:
            return self._of_length(ranked.rows, scores, reasons, explored)
        slates: list[Slate | Exception] = [NotFinite()] * len(scores)
        for size in np.unique(ranked.sizes).tolist():
            users = np.flatnonzero(ranked.sizes == size)
            of_users = PlaceReasons(*(array[users, :size] for array in reasons))
            certain = None if self._explorer is None else Explored.nothing(len(users))
            group = self._of_length(ranked.rows[users, :size], scores[users, :size], of_users, certain)
            for user, slate in zip(users.tolist(), group, strict=True):
                slates[user] = slate
        return slates

    def _of_length(
        self, rows: Rows, scores: npt.NDArray[np.float64], reasons: PlaceReasons, explored: Explored | None
    ) -> list[Slate | Exception]:
        parts = (
            self._items.encode(rows, scores, reasons, explored),
            self._hashes_of(rows, explored),
            self._propensities_of(rows, explored),
        )
        return [Slate("model", *of_list) for of_list in zip(*parts, strict=False)]

    def _explored(self, batch: _Scored, ranked: Ranked, ready: npt.NDArray[np.bool_]) -> Explored | None:
        if self._explorer is None:
            return None
        candidates = Candidates(batch.rows, batch.scores, batch.states)
        explored = self._explorer.explore(batch.requests, candidates, ranked, ready)
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
        (items,) = self._items.encode(listed, rounded, self._reasons.without_history(listed), self._certain)
        return Slate(source, items, next(self._hashes_of(listed)), next(self._propensities_of(listed, self._certain)))

    def _usable(self, state: npt.NDArray[Any], allowed: npt.NDArray[np.bool_], worst: int) -> Usable:
        """Whether rows may be listed for the shopper of a state [1]: the ranker's verdict is at most `worst`."""

        def usable(rows: Rows) -> npt.NDArray[np.bool_]:
            fine: npt.NDArray[np.bool_] = self._ranker.verdict(rows[None], state, allowed)[0] <= worst
            return fine

        return usable

    def _filled(
        self, rows: Rows, scores: npt.NDArray[np.float64], reasons: PlaceReasons, usable: Usable, size: int
    ) -> Slate:
        """The list with popular items at the places that the rules left empty (row 0): the last ones.

        `rows`, `scores`: [places]; `reasons`: a batch of this list alone.
        """
        ranked = int(np.count_nonzero(rows))
        listed = np.array([self._fallback.fill(rows[:ranked].tolist(), usable, size)], dtype=np.int32)
        all_scores = np.zeros(listed.shape)
        all_scores[0, :ranked] = scores[:ranked]
        popular = self._reasons.without_history(listed[:, ranked:])
        (items,) = self._items.encode(listed, all_scores, reasons.first(ranked).followed_by(popular), self._certain)
        return Slate("model", items, next(self._hashes_of(listed)), next(self._propensities_of(listed, self._certain)))

    def _hashes_of(self, rows: Rows, explored: Explored | None = None) -> Iterator[bytes | None]:
        """The hashes of the items of each list, as in `ListFacts`; None for ever where nobody needs them."""
        if self._item_hashes is None:
            return repeat(None)
        hashes = self._item_hashes[rows]
        if explored is not None:
            new = slice(explored.names_from, None)
            hashes[explored.drawn.lists[new], explored.at[new]] = explored.drawn.lows[new]
        return (of_list.tobytes() for of_list in hashes)

    def _propensities_of(self, rows: Rows, explored: Explored | None) -> Iterator[bytes]:
        """The propensities of each list, as in `ListFacts`; empty for ever where nobody needs them."""
        if explored is None or self._item_hashes is None:
            return repeat(b"")
        return (of_list.tobytes() for of_list in explored.propensities(rows.shape[1]))
