"""The keyed operator's Python half: carries batches between Flink and `operators.refresh.refresh_logic`.

It touches no Java object: batches come and go as bytes (`pipelines/job/batch_messages.py`), and a byte in a pipe tells
the Java half that lists are ready.
"""

import contextlib
import gc
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from operators.demand.item_counts import HalfLives
from operators.demand.live_orders import LiveOrders
from operators.demand.popularity import Orders
from operators.errors import BundleError
from operators.experiments.assignment import Experiments
from operators.exploration.likes import Likes
from operators.exploration.live_pool import LivePool
from operators.kafka_io.compacted_table import OnChange
from operators.lists.availability import is_offered
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import Encoded
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import CatalogueItem, Model
from operators.records.event_decode import EventDecoder
from operators.records.item_demand import ItemDemand
from operators.refresh.batch_scorer import LocalScorer
from operators.refresh.demand_outputs import DemandOutputs
from operators.refresh.downstream import Downstream
from operators.refresh.exactly_once import Transactions
from operators.refresh.feedback_outputs import FeedbackOutputs
from operators.refresh.micro_batcher import MicroBatcher
from operators.refresh.refresh_logic import RefreshLogic
from operators.refresh.refresh_sensors import NullRefreshSensors, NullSensors
from operators.settings import JobSettings, Settings
from operators.shopper.recent_states import RecentStates
from operators.telemetry.chosen_sensors import chosen
from operators.telemetry.freed_memory import give_back_memory
from operators.telemetry.logs import configure
from operators.telemetry.own_errors import OwnErrors
from operators.telemetry.timeline import BatchTimes
from operators.telemetry.tracing import Tracer
from operators.time_units import DAY_MS
from pipelines.job.batch_messages import Message
from pipelines.job.job_metrics import JobMetrics
from pipelines.job.tables import open_catalogue, open_demand, tables_root
from pipelines.job.target_files import forget_unused_targets
from pipelines.scoring.links import link_of
from pipelines.scoring.process import ScorerLost, ScorerProcess
from pipelines.scoring.wake_up import WakeUpPipe
from pipelines.scoring.wire import Handshake

log = logging.getLogger(__name__)
Live = Callable[[], Orders | None]


class RefreshFunction:
    """What `org.liveshelf.bridge.BatchedOperator` calls, all on its task thread."""

    def __init__(self, settings: Settings, code: Path, python: str) -> None:
        """`code`: the folder that the submission shipped; `python`: the interpreter of the scorer process."""
        self._settings = settings
        self._bundle_folder = code / "bundle"
        self._closing = contextlib.ExitStack()  # closes what was taken last first
        self._python = python

    def open(self, subtask: int) -> None:
        """Takes a port, a table folder and a thread. The Java half calls `close` after an `open` that failed too."""
        configure("operator")
        settings = self._settings
        self._wake_up = WakeUpPipe()
        self._closing.callback(self._wake_up.close)
        self._recent = RecentStates(settings.job.recent_users, time.monotonic)
        experiments = Experiments(settings.experiment)
        tracer = Tracer(settings.tracing, "liveshelf-job") if settings.tracing.otlp_endpoint else None
        metrics = self._metrics = JobMetrics(settings.job, subtask, experiments, tracer)
        self._closing.callback(metrics.close)
        forget_unused_targets(settings, subtask)
        bundle = load_bundle(self._bundle_folder)
        catalogue = Catalogue(bundle.vocabulary, settings.lists.catalogue_coverage)
        live, pool = self._live_demand(bundle, catalogue, subtask)
        process = self._scorer_with(bundle, catalogue, live, pool, subtask)
        lists = ListMaker(
            bundle,
            None,
            catalogue,
            settings.lists,
            now_ms,
            experiments,
            with_facts=settings.feedback.enabled,
            live=live,
            exploration=settings.exploration,
        )
        self._batcher = self._batcher_of(process, lists)
        self._closing.callback(self._stop_batcher)
        self._batcher.start()
        metrics.waiting.set_function(lambda: self._batcher.waiting)
        decoder = EventDecoder(settings.events, repaired=metrics.repaired)
        metrics.clamped.set_function(lambda: decoder.clamped)
        self._logic = RefreshLogic(
            decoder,
            self._batcher,
            lists,
            settings.events,
            settings.scorer,
            time.time,
            chosen(metrics, NullRefreshSensors()),
            with_digest=settings.job.state_digests,
            time_to_live_ms=settings.job.state_ttl_days * DAY_MS,
            transactions=transactions_of(settings.job),
            downstream=self._downstream(bundle),
        )
        metrics.oldest.set_function(lambda: self._logic.oldest_s)
        freeze_loaded()

    def _live_demand(self, bundle: ModelBundle, catalogue: Catalogue, subtask: int) -> tuple[Live, LivePool | None]:
        """Where the orders of live demand come from, and what is explored; none without the demand operator."""
        settings = self._settings
        if not settings.demand.enabled:
            return lambda: None, None
        popular, half_lives = [row - 1 for row in bundle.popular.tolist()], HalfLives.of(settings.demand)
        orders, pool = LiveOrders(bundle.vocabulary.item_ids, popular, half_lives), None
        followers: list[OnChange[ItemDemand]] = [orders.changed]
        if settings.exploration.enabled:
            likes = Likes(
                bundle,
                catalogue.alike,
                lambda: bundle.popular if (newest := orders.newest()) is None else newest.popular + 1,
            )
            few = settings.exploration.few_impressions
            pool = LivePool(bundle.vocabulary, likes, few, half_lives.long_ms, is_offered)
            followers.append(pool.demand_changed)

        def changed(key: str, demand: ItemDemand | None) -> None:
            for follower in followers:
                follower(key, demand)

        table = open_demand(settings, subtask, changed)
        self._closing.callback(table.close)
        self._metrics.demand_age.set_function(lambda: table.age_s)
        for thread in (orders, pool):
            if thread is not None:
                thread.start()
                self._closing.callback(thread.close)
        return orders.newest, pool

    def _scorer_with(
        self, bundle: ModelBundle, catalogue: Catalogue, live: Live, pool: LivePool | None, subtask: int
    ) -> ScorerProcess:
        """The scorer process; it, `catalogue` and `pool` follow the catalogue topic from here on."""
        process = self._scorer(bundle, live, pool, subtask)
        self._closing.callback(process.close)

        def changed(key: str, change: CatalogueItem | None) -> None:
            catalogue.changed(key, change)
            process.catalogue.changed(key, change)
            if pool is not None:
                pool.item_changed(key, change)

        table = open_catalogue(self._settings, subtask, changed)
        self._is_sold = lambda item: bool(bundle.vocabulary.row(item)) or table.row(item) is not None
        self._closing.callback(table.close)
        self._closing.callback(process.close)  # before the table, which its thread may be reading
        process.catalogue.attach(table)
        self._metrics.catalogue_age.set_function(lambda: table.age_s)
        return process

    def _batcher_of(self, process: ScorerProcess, lists: ListMaker) -> MicroBatcher[Request, Encoded]:
        settings = self._settings
        audited = settings.job.state_digests

        def score_without_model(requests: Sequence[Request]) -> list[Encoded | Exception]:
            now = time.time()
            batch = BatchTimes(now, now, now)
            return [lists.encoded_fallback(request, batch, with_digest=audited) for request in requests]

        return MicroBatcher(
            LocalScorer(score_without_model) if refused(process) else process,
            max_batch=settings.scorer.max_batch,
            max_waiting=settings.scorer.max_waiting,
            deadline_s=settings.scorer.deadline_ms / 1000,
            clock=time.monotonic,
            sensors=chosen(self._metrics, NullSensors()),
            on_answers=self._wake_up.write,
        )

    def _scorer(self, bundle: ModelBundle, live: Live, pool: LivePool | None, subtask: int) -> ScorerProcess:
        settings, metrics = self._settings, self._metrics
        # one journal a bundle: requests that crashed another bundle are tried again
        owner = "shared" if settings.scorer.socket else str(subtask)
        journal = tables_root(settings) / f"{settings.job.name}-{owner}-{bundle.name}-{bundle.version}.crashes"
        handshake = Handshake(settings.model_dump(), str(self._bundle_folder), owner, str(journal))
        link = link_of(self._python, settings.scorer.socket)
        kill_after_s = settings.scorer.kill_after_ms / 1000
        return ScorerProcess(
            link,
            handshake,
            kill_after_s,
            lambda ready: metrics.serves(bundle, ready),
            bundle.vocabulary.row,
            live,
            (lambda: None) if pool is None else pool.newest,
        )

    def wake_up_descriptor(self) -> int:
        """The end of the pipe that the Java half reads: a byte says that lists are ready."""
        return self._wake_up.reading_end

    def on_batch(self, message: bytes) -> bytes:
        """A batch of records and promises, as `pipelines.job.batch_messages` describes. An empty batch only asks for the
        lists that are ready."""
        batch = Message(message, now_ms(), self._recent)
        return batch.answer(self._logic.on_batch(batch.turns))

    def close(self) -> None:
        """Stops the scorer, the table and the metrics server, each whatever the others raise."""
        self._closing.close()

    def _downstream(self, bundle: ModelBundle) -> Downstream:
        """What the operators behind this one are told."""
        settings, feedback, demand = self._settings, None, None
        if settings.feedback.enabled:
            feedback = FeedbackOutputs(Model(bundle.name, bundle.version), settings.experiment)
        if settings.demand.enabled:
            with_impressions = settings.exploration.enabled
            demand = outputs = DemandOutputs(settings.demand.currency, self._is_sold, with_impressions=with_impressions)
            self._metrics.unknown_items.set_function(lambda: outputs.unknown)
        return Downstream(feedback, demand, OwnErrors(self._metrics.on_own_error, time.time))

    def _stop_batcher(self) -> None:
        if not self._batcher.close():
            log.warning("the scorer hangs: its process is killed")


def now_ms() -> int:
    """The wall clock, epoch ms."""
    return time.time_ns() // 1_000_000


def transactions_of(job: JobSettings) -> Transactions | None:
    """The transactions of exactly-once delivery, else None."""
    if job.delivery != "exactly-once":
        return None
    return Transactions(job.transaction_timeout_ms, job.checkpoint_interval_ms)


def freeze_loaded() -> None:
    """Exempts the objects loaded so far from garbage collection.

    Objects that earlier jobs of the interpreter froze are unfrozen first: each job would leak 100 MB
    (docs/notebook/fault-findings.md).
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    give_back_memory()


def load_bundle(folder: Path) -> ModelBundle:
    """The bundle; of a broken one its fallback tables alone, and the scorer process refuses it."""
    try:
        return ModelBundle.load(folder)
    except BundleError:
        return ModelBundle.load_fallbacks(folder)


def refused(process: ScorerProcess) -> bool:
    """Whether the scorer process refuses the bundle. A process that did not start is started again later."""
    try:
        reason = process.ready().refused
    except ScorerLost:
        return False  # logged already; the next list starts it again
    if reason:
        log.error("bundle refused, fallbacks only: %s", reason)
    return bool(reason)
