"""The bundles that serve in an operator: the submitted one, or those of the rollout on `shop.models.v1`."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from operators.errors import StackError
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.contracts import Model
from operators.rollout.bundle_store import fetched, forget
from operators.rollout.rollout import BundleRef, Rollout
from operators.rollout.rollout_follower import RolloutFollower, is_retriable
from operators.rollout.routing import Routing
from pipelines.job.models.serving import Place, Serving, sum_of
from pipelines.job.models.shadow import Shadow
from pipelines.job.tables import bundles_folder, catalogue_table, demand_table, open_catalogue, rollout_table
from pipelines.job.target_files import forget_former_scorers
from pipelines.scoring.scorer_fleet import LineUp, ScorerFleet

log = logging.getLogger(__name__)
ROLLOUT_SECONDS = 5  # to read the topic of models at the start


class _Served(NamedTuple):
    """What serves: the champion first, and for a challenger that cannot serve the champion once more. `routing`: the places
    of users among them, None where the champion has all."""

    servings: list[Serving]
    routing: Routing | None = None

    def of(self, user: str) -> Serving:
        return self.servings[0 if self.routing is None else self.routing.place_of(user)]

    @property
    def each(self) -> list[Serving]:
        """The servings, each once."""
        return list(dict.fromkeys(self.servings))


class ServedModels:
    """All but `scorer` is for the task thread. A thread of its own changes what serves."""

    def __init__(self, shipped: Path, place: Place) -> None:
        """`shipped`: the submitted bundle. Nothing is open yet."""
        self._shipped, self._place = shipped, place
        settings, subtask = place.settings, place.subtask
        self._catalogue = catalogue_table(settings, subtask)
        self._demand = demand_table(settings, subtask) if settings.demand.enabled else None
        self._follower = RolloutFollower(rollout_table(settings, subtask), settings.job.name, self._apply)
        self._cache = bundles_folder(settings, subtask)
        self._served: _Served | None = None
        self._shadow = Shadow(place.metrics)
        self._fleet: ScorerFleet | None = None
        self._tried: Rollout | None = None
        self._refused = set[str]()  # sums of bundles of `_tried` that must not serve
        self._serving, self._closed = threading.Lock(), False  # the lock is held while what serves changes

    def open(self) -> None:
        """Serves as the rollout says, or with the submitted bundle where there is none or it cannot serve. Raises `StackError`
        where this machine lacks what a scorer needs."""
        open_catalogue(self._catalogue)
        if self._demand is not None:
            self._demand.open(0)
        self._follower.open(ROLLOUT_SECONDS)
        if self._served is None:
            self._apply(None)
        self._place.metrics.follow(self._follower)
        self._follower.follow()  # last: two threads must not apply at once

    def close(self) -> None:
        """Ends everything, the processes before the tables that their threads may read."""
        with self._serving:
            self._closed = True
        closing: list[Callable[[], None]] = [self._follower.close, self._shadow.close]
        if self._fleet is not None:
            closing.append(self._fleet.close)
        closing += [serving.leave for serving in ([] if self._served is None else self._served.each)]
        closing += [table.close for table in (self._catalogue, self._demand) if table is not None]
        for close in closing:
            try:
                close()
            except Exception:
                log.exception("a part of the served models was not closed")

    def encoded_fallback(self, request: Request, *, with_digest: bool = False) -> Encoded:
        """A list without the model, by the bundle that has the user."""
        return self._now.of(request.user_id).fallback(request, with_digest=with_digest)

    @property
    def scorer(self) -> ScorerFleet:
        """The processes of all bundles, for the scorer thread."""
        assert self._fleet is not None  # since `open`
        return self._fleet

    @property
    def catalogue_age_s(self) -> float:
        """Seconds since the catalogue topic last answered."""
        return self._catalogue.age_s

    @property
    def demand_age_s(self) -> float:
        """Seconds since the topic of demand last answered; 0 where it is not read."""
        return 0.0 if self._demand is None else self._demand.age_s

    @property
    def champion(self) -> Model:
        """Of the users whom no challenger has."""
        return self._now.servings[0].model

    def is_sold(self, item: str) -> bool:
        """Whether the champion or the catalogue knows the item."""
        return bool(self._now.servings[0].bundle.vocabulary.row(item)) or self._catalogue.row(item) is not None

    @property
    def _now(self) -> _Served:
        assert self._served is not None  # since `open`
        return self._served

    def _apply(self, rollout: Rollout | None) -> list[Exception]:
        """Serves as `rollout` says, None: with the submitted bundle. What serves already goes on. If the champion cannot serve,
        nothing changes and its error is raised. A challenger that cannot serve is left out, and the champion has its users; a
        shadow is left out too. Returns their errors."""
        if rollout != self._tried:
            self._tried, self._refused = rollout, set()
        started: list[Serving] = []
        errors: list[Exception] = []
        try:
            served, shadow = self._line_up(rollout, started, errors)
            for serving in started:
                serving.follow(self._catalogue, self._demand)
            with self._serving:
                if self._closed:
                    raise StackError("an operator that serves", "it was closed meanwhile", "nothing: it starts again")
                self._serve(served)
                self._shadow.use(shadow, served.routing)
        except Exception:
            for serving in started:
                serving.leave()
                serving.process.close()
            raise
        used = served.each if shadow is None else [*served.each, shadow]
        self._place.metrics.keep(serving.model for serving in used)
        self._place.metrics.left_out(0 if rollout is None else len(self._refused) + sum(map(is_retriable, errors)))
        forget_former_scorers(self._place.settings.job, self._place.subtask, [serving.owner for serving in used])
        kept = [] if rollout is None else rollout.named  # the champion before too: a rollback must not need the store
        forget(self._cache, [*(bundle.sum for bundle in kept), *(serving.sum for serving in used)])
        return errors

    def _line_up(
        self, rollout: Rollout | None, started: list[Serving], errors: list[Exception]
    ) -> tuple[_Served, Serving | None]:
        """What serves, and the shadow. Adds to `started` what was started, and to `errors` why a bundle was left out."""
        running = {} if self._served is None else {serving.sum: serving for serving in self._served.servings}
        if rollout is None:
            return _Served([self._submitted(running, started)]), None

        def beside(bundle: BundleRef, runs: Serving | None) -> Serving | None:
            return runs or self._beside(bundle, started, errors)

        champion = running.get(rollout.champion.sum) or self._start(rollout.champion, started)
        challengers = [beside(one.bundle, running.get(one.bundle.sum)) for one in rollout.challengers]
        # a shadow of its own even where the bundle serves already: its process is for the shadow's thread alone
        shadow = None if (bundle := rollout.shadow) is None else beside(bundle, self._shadow.running(bundle.sum))
        return _Served([champion, *(one or champion for one in challengers)], Routing(rollout)), shadow

    def _submitted(self, running: Mapping[str, Serving], started: list[Serving]) -> Serving:
        """The submitted bundle, whatever it is: its fallback lists where its process refuses it."""
        if (serving := running.get(sum_of(self._shipped))) is None:
            serving = Serving(self._shipped, self._place)
            started.append(serving)
            serving.wait(must_serve=False)
        return serving

    def _start(self, bundle: BundleRef, started: list[Serving]) -> Serving:
        """A bundle of a rollout, ready to serve. Raises `BundleError`, `StackError`, `ScorerLost`."""
        folder = fetched(bundle, self._cache, self._place.settings.bundle.required_keys)
        serving = Serving(folder, self._place, f"-{bundle.sum[:8]}")
        try:
            serving.wait(must_serve=True)
        except BaseException:
            serving.process.close()
            raise
        started.append(serving)
        return serving

    def _beside(self, bundle: BundleRef, started: list[Serving], errors: list[Exception]) -> Serving | None:
        """As `_start`, of a challenger or shadow; None where it cannot serve."""
        if bundle.sum in self._refused:
            return None
        try:
            return self._start(bundle, started)
        except Exception as error:
            log.error("%s is left out of the rollout: %s", bundle.label, error)
            if not is_retriable(error):
                self._refused.add(bundle.sum)
            errors.append(error)
            return None

    def _serve(self, served: _Served) -> None:
        former, self._served = self._served, served
        line_up = LineUp([serving.scorer for serving in served.servings], served.routing)
        if self._fleet is None:
            self._fleet = ScorerFleet(line_up, self._shadow.offer)
        else:
            self._fleet.replace(line_up)
        champion = served.servings[0]
        self._place.metrics.champion(champion.bundle)
        for serving in [] if former is None else former.each:
            if serving not in served.servings:
                serving.leave()
        log.info("lists are made by %s", ", ".join(f"{one.model.name} {one.model.version}" for one in served.each))
