"""The keyed operator: carries bytes between Flink and `operators.refresh_logic`."""

import contextlib
import ctypes
import gc
import logging
import os
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyflink.common import Row, Time, Types
from pyflink.datastream.state import StateTtlConfig, ValueStateDescriptor

from operators.alternating import Alternating
from operators.catalogue import Catalogue
from operators.compacted_table import CompactedTable, kafka_consumer
from operators.contracts import CATALOGUE
from operators.crash_journal import CrashJournal
from operators.decode import EventDecoder
from operators.errors import BundleError
from operators.experiments import Experiments
from operators.list_maker import ListMaker, NullListSensors, Request
from operators.logs import configure
from operators.micro_batcher import MicroBatcher, NullSensors
from operators.model_bundle import ModelBundle
from operators.recent_states import RecentStates
from operators.refresh_logic import Actions, Encoded, NullRefreshSensors, Output, Record, RefreshLogic, encoded
from operators.scorer import Scorer
from operators.settings import Settings
from operators.state_layout import stored
from operators.timeline import Made
from operators.tracing import Tracer
from pipelines.metrics import JobMetrics

log = logging.getLogger(__name__)
CATALOGUE_SECONDS = 20


class RefreshFunction:
    """open, process_element, on_timer and close of a KeyedProcessFunction; the fields of a row are `Record`'s."""

    def __init__(self, settings: Settings, bundle_folder: Path) -> None:
        self._settings = settings
        self._bundle_folder = bundle_folder

    def open(self, context: Any) -> None:
        """Takes a port, a table folder and a thread; `close` gives them all back, here too when one fails to open."""
        try:
            self._open(context)
        except BaseException:
            self.close()  # Flink does not close what did not open, and the interpreter outlives the job
            raise

    def _open(self, context: Any) -> None:
        configure("operator")
        settings = self._settings
        descriptor = ValueStateDescriptor("user", Types.PICKLED_BYTE_ARRAY())  # PRIMITIVE_ARRAY(BYTE) is broken here
        descriptor.enable_time_to_live(time_to_live(settings.job.state_ttl_days))
        self._state = context.get_state(descriptor)
        self._recent = RecentStates(settings.job.recent_users, time.monotonic)
        experiments = Experiments(settings.experiment)
        tracer = Tracer(settings.tracing, "liveshelf-job") if settings.tracing.otlp_endpoint else None
        metrics = self._metrics = JobMetrics(settings.job, subtask_index(context), experiments, tracer)
        bundle, scorer = load_bundle(self._bundle_folder, settings)
        metrics.serves(bundle, scorer)
        catalogue = Catalogue(bundle.vocabulary, settings.lists.catalogue_coverage)
        self._table = open_table(settings, subtask_index(context), catalogue)
        metrics.catalogue_age.set_function(lambda: self._table.age_s)
        metrics.slates.follow(bundle, catalogue)

        def sensing(sensors: Any, null: Any) -> Any:
            spell_s = settings.job.sensors_alternate_s
            return Alternating(sensors, null, spell_s, time.time) if spell_s else sensors

        slates = sensing(metrics.slates, NullListSensors())
        lists = ListMaker(bundle, scorer, catalogue, settings.lists, now_ms, experiments, slates)
        audited = settings.job.state_digests

        def make(requests: Sequence[Request]) -> list[Encoded | Exception]:
            batch = Made(time.time())
            made = zip(lists.make(requests), requests, strict=True)
            results = [m if isinstance(m, Exception) else encoded(m, r, batch, with_digest=audited) for m, r in made]
            batch.scored, batch.ready = max(batch.started, metrics.slates.scored_at), time.time()
            return results

        # another bundle is another chance: the journal is the bundle's
        name = f"{settings.job.name}-{subtask_index(context)}-{bundle.name}-{bundle.version}.crashes"
        journal = CrashJournal(tables_root(settings) / name, time.time)

        def score(requests: Sequence[Request]) -> list[Encoded | Exception]:
            return journal.score(requests, make)

        self._batcher: MicroBatcher[Request, Encoded] = MicroBatcher(
            score,
            max_batch=settings.scorer.max_batch,
            max_waiting=settings.scorer.max_waiting,
            deadline_s=settings.scorer.deadline_ms / 1000,
            clock=time.monotonic,
            sensors=sensing(metrics, NullSensors()),
        )
        self._batcher.start()
        metrics.waiting.set_function(lambda: self._batcher.waiting)
        metrics.oldest.set_function(lambda: self._batcher.oldest)
        decoder = EventDecoder(settings.events)
        metrics.clamped.set_function(lambda: decoder.clamped)
        self._logic = RefreshLogic(
            decoder,
            self._batcher,
            lists,
            settings.events,
            settings.scorer,
            time.time,
            sensing(metrics, NullRefreshSensors()),
            with_digest=audited,
            exactly_once=settings.job.delivery == "exactly-once",
        )
        # what was loaded until now stays, and the collector need not walk through it again; what the interpreter's
        # earlier jobs froze must thaw first: they are gone, and each would keep 100 MB (docs/decisions.md)
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        give_back_memory()

    def process_element(self, row: Row, context: Any) -> Sequence[Row]:
        """One record."""
        record = Record(*row)
        return self._act(self._logic.on_record(record, self._read(record.user)), record.user, context)

    def on_timer(self, timestamp: int, context: Any) -> Sequence[Row]:
        """One promise."""
        user = context.get_current_key()
        return self._act(self._logic.on_promise(user, lambda: self._read(user)), user, context)

    def close(self) -> None:
        """Stops the scorer thread, the table and the metrics server."""
        if hasattr(self, "_batcher") and not self._batcher.close():
            log.warning("the scorer hangs; its thread is left behind until the model returns")
        if hasattr(self, "_table"):
            self._table.close()
        if hasattr(self, "_metrics"):
            self._metrics.close()

    def _read(self, user: str) -> bytes | None:
        """The state of the user whose turn it is."""
        return self._recent.get(user) or self._state.value()

    def _act(self, actions: Actions, user: str, context: Any) -> Sequence[Row]:
        if actions.state is not None:
            self._state.update(stored(actions.state))
            self._recent.put(user, actions.state)
        if actions.promise_ms is not None:
            context.timer_service().register_processing_time_timer(now_ms() + actions.promise_ms)
        return [_row(output) for output in actions.outputs]


def give_back_memory() -> None:
    """What earlier jobs of the process freed goes back to the system; glibc keeps pages between what is still used."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _row(output: Output) -> Row:
    return Row(*output)


def now_ms() -> int:
    """The wall clock, epoch ms."""
    return time.time_ns() // 1_000_000


def subtask_index(context: Any) -> int:
    """This subtask's number; pyflink's own getter calls a method that Flink 2 has moved."""
    return int(context._runtime_context.getTaskInfo().getIndexOfThisSubtask())


def time_to_live(days: int) -> StateTtlConfig:
    """Forgets users who were idle for so long, while RocksDB compacts.

    The default clean-up is off and the compaction time is named (nobody reads it): their defaults ask for a Java
    gateway, which an embedded interpreter does not have.
    """
    builder = StateTtlConfig.new_builder(Time.days(days)).disable_cleanup_in_background()
    return builder.cleanup_in_rocksdb_compact_filter(1000, timedelta(days=30)).build()


def load_bundle(folder: Path, settings: Settings) -> tuple[ModelBundle, Scorer | None]:
    """The bundle and its scorer. A bundle that fails a check is not scored: what of it can be trusted serves fallbacks."""
    try:
        bundle = ModelBundle.load(folder)
        scorer = Scorer(bundle, settings.scorer)
        log.info("scoring on %s: %s", scorer.provider, scorer.provider_reason)
        return bundle, scorer
    except BundleError as error:
        log.error("bundle refused, fallbacks only: %s", error)
        return ModelBundle.load_fallbacks(folder), None


def tables_root(settings: Settings) -> Path:
    """The folder of what a TaskManager keeps on its own disk."""
    return Path(settings.job.tables_dir or "/tmp/liveshelf-tables")


def open_table(settings: Settings, subtask: int, catalogue: Catalogue) -> CompactedTable:
    """The catalogue topic as a local table; a folder that another process holds is not waited for."""
    root = tables_root(settings) / f"{settings.job.name}-{subtask}"
    options = settings.kafka.consumer_options()
    for folder in (root, root.with_name(f"{root.name}-{os.getpid()}-{time.monotonic_ns()}")):
        try:
            table = CompactedTable(CATALOGUE, folder, lambda: kafka_consumer(options), on_change=catalogue.changed)
        except Exception as error:  # rocksdict raises its own class when the lock is held
            log.warning("table %s: %s", folder, error)
            continue
        if not table.open(CATALOGUE_SECONDS):
            log.warning("the catalogue topic did not answer within %s s; the last local copy serves", CATALOGUE_SECONDS)
        return table
    raise OSError(f"no folder for a local table below {root}")
