"""A bundle that makes lists in an operator: its scorer process, its fallback lists, its view of catalogue and demand."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from operators.demand.item_counts import HalfLives
from operators.demand.live_orders import LiveOrders
from operators.demand.popularity import Orders
from operators.errors import BundleError
from operators.experiments.assignment import Experiments
from operators.exploration.likes import Likes
from operators.exploration.live_pool import LivePool
from operators.exploration.pool import Pool
from operators.kafka_io.compacted_table import CompactedTable
from operators.lists.availability import is_offered
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import Encoded
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.bundle_files import manifest_sum
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import CatalogueItem, Model
from operators.records.item_demand import ItemDemand
from operators.refresh.batch_scorer import LocalScorer
from operators.settings import Settings
from operators.shopper.features import Rows
from operators.telemetry.timeline import BatchTimes
from pipelines.job.models.model_metrics import ModelMetrics
from pipelines.job.tables import tables_root
from pipelines.scoring.links import link_of
from pipelines.scoring.process import ScorerLost, ScorerProcess
from pipelines.scoring.wire import Handshake

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """What all bundles of an operator share. `python`: the interpreter of scorer processes."""

    settings: Settings
    subtask: int
    python: str
    metrics: ModelMetrics
    experiments: Experiments


class Serving:
    """One bundle. Its process starts at once, and `wait` waits for it."""

    def __init__(self, folder: Path, place: Place, suffix: str = "") -> None:
        """`suffix`: what distinguishes its process from others of the subtask. A broken bundle's fallback tables serve alone.
        Raises `StackError` where the machine lacks what a process needs."""
        self._place, settings = place, place.settings
        self.bundle = bundle = load_bundle(folder, settings.bundle.required_keys)
        self.model = Model(bundle.name, bundle.version)
        self.sum = sum_of(folder)
        # `Handshake.subtask`
        self.owner = f"{'shared' if settings.scorer.socket else place.subtask}{suffix}"
        self._catalogue = Catalogue(bundle.vocabulary, settings.lists.catalogue_coverage)
        self._orders, self._pool = self._live_demand()
        self.process = self._process(folder)
        self.lists = ListMaker(
            bundle,
            None,
            self._catalogue,
            settings.lists,
            now_ms,
            place.experiments,
            with_facts=settings.feedback.enabled,
            live=self._newest_orders,
            exploration=settings.exploration,
        )
        self.scorer: ScorerProcess | Fallbacks = self.process
        self._leaving = list[Callable[[], None]]()

    def wait(self, *, must_serve: bool) -> None:
        """Waits until the process can score. Where it refuses the bundle fallback lists take its place, with `must_serve`
        `BundleError` is raised, and `ScorerLost` where it does not start. Raises `StackError` as `ScorerProcess.ready`."""
        try:
            reason = self.process.ready().refused
        except ScorerLost:
            if must_serve:
                raise
            return  # logged already; the next list starts it again
        if reason and must_serve:
            raise BundleError("a bundle that may serve", reason, "liveshelf bundle verify, then promote another")
        if reason:
            log.error("bundle refused, fallbacks only: %s", reason)
            self.scorer = Fallbacks(self)

    def follow(self, catalogue: CompactedTable[CatalogueItem], demand: CompactedTable[ItemDemand] | None) -> None:
        """Follows the tables from here on, which are open."""
        self.process.catalogue.attach(catalogue)
        catalogue.listen(self._changed)
        self._leaving.append(lambda: catalogue.leave(self._changed))
        if demand is not None and (orders := self._orders) is not None:
            demand.listen(orders.changed)
            orders.start()
            self._leaving += [orders.close, lambda: demand.leave(orders.changed)]
        if demand is not None and (pool := self._pool) is not None:
            demand.listen(pool.demand_changed)
            pool.start()
            self._leaving += [pool.close, lambda: demand.leave(pool.demand_changed)]

    def leave(self) -> None:
        """Follows no table any more. Its process is closed by who has it."""
        for end in self._leaving:
            end()
        self._leaving.clear()

    def fallback(self, request: Request, times: BatchTimes | None = None, *, with_digest: bool = False) -> Encoded:
        """A list without the model."""
        encoded = self.lists.encoded_fallback(request, times, with_digest=with_digest)
        encoded.model = self.model
        return encoded

    def _changed(self, key: str, change: CatalogueItem | None) -> None:
        self._catalogue.changed(key, change)
        self.process.catalogue.changed(key, change)
        if self._pool is not None:
            self._pool.item_changed(key, change)

    def _live_demand(self) -> tuple[LiveOrders | None, LivePool | None]:
        """The orders of live demand, and what is explored; none without the demand operator."""
        settings, bundle = self._place.settings, self.bundle
        if not settings.demand.enabled:
            return None, None
        half_lives = HalfLives.of(settings.demand)
        orders = LiveOrders(bundle.vocabulary.item_ids, [row - 1 for row in bundle.popular.tolist()], half_lives)
        if not settings.exploration.enabled:
            return orders, None

        def popular() -> Rows:
            newest = orders.newest()
            return bundle.popular if newest is None else newest.popular + 1

        likes, few = Likes(bundle, self._catalogue.alike, popular), settings.exploration.few_impressions
        return orders, LivePool(bundle.vocabulary, likes, few, half_lives.long_ms, is_offered)

    def _newest_orders(self) -> Orders | None:
        return None if self._orders is None else self._orders.newest()

    def _newest_pool(self) -> Pool | None:
        return None if self._pool is None else self._pool.newest()

    def _process(self, folder: Path) -> ScorerProcess:
        settings, metrics, bundle = self._place.settings, self._place.metrics, self.bundle
        # one journal a bundle: requests that crashed another bundle are tried again
        journal = tables_root(settings) / f"{settings.job.name}-{self.owner}-{bundle.name}-{bundle.version}.crashes"
        handshake = Handshake(settings.model_dump(), str(folder), self.owner, str(journal))
        return ScorerProcess(
            link_of(self._place.python, settings.scorer.socket),
            handshake,
            settings.scorer.kill_after_ms / 1000,
            lambda ready: metrics.serves(bundle, ready),
            bundle.vocabulary.row,
            self._newest_orders,
            self.model,
            lambda: self._place.experiments.plans,
            self._newest_pool,
        )


class Fallbacks(LocalScorer[Request, Encoded]):
    """In place of a process that refuses its bundle: fallback lists."""

    def __init__(self, serving: Serving) -> None:
        audited = serving._place.settings.job.state_digests

        def score(requests: Sequence[Request]) -> list[Encoded | Exception]:
            now = time.time()
            return [serving.fallback(one, BatchTimes(now, now, now), with_digest=audited) for one in requests]

        super().__init__(score)

    def close(self) -> None:
        """Nothing is open."""


def now_ms() -> int:
    """The wall clock, epoch ms."""
    return time.time_ns() // 1_000_000


def load_bundle(folder: Path, public_keys: Sequence[str] = ()) -> ModelBundle:
    """The bundle; of a broken one its fallback tables alone, and the scorer process refuses it."""
    try:
        return ModelBundle.load(folder, public_keys)
    except BundleError:
        return ModelBundle.load_fallbacks(folder)


def sum_of(folder: Path) -> str:
    """The sum of a bundle's manifest; empty where it has none."""
    try:
        return manifest_sum(folder)
    except BundleError:
        return ""
