"""The keyed operator's Python half: carries batches between Flink and `operators.refresh.refresh_logic`.

It touches no Java object: batches come and go as bytes (`pipelines/job/batch_messages.py`), and a byte in a pipe tells
the Java half that lists are ready.
"""

import contextlib
import gc
import logging
import time
from pathlib import Path

from operators.experiments.assignment import Experiments
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.event_decode import EventDecoder
from operators.refresh.batch_scorer import BatchScorer
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
from operators.telemetry.tracing import Tracer
from operators.time_units import DAY_MS
from pipelines.job.batch_messages import Message
from pipelines.job.job_metrics import JobMetrics
from pipelines.job.models.served_models import ServedModels
from pipelines.job.models.serving import Place, now_ms
from pipelines.job.tables import open_experiments
from pipelines.job.target_files import forget_unused_targets
from pipelines.scoring.wake_up import WakeUpPipe

log = logging.getLogger(__name__)


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
        experiments = self._experiments = Experiments(settings.experiment)
        tracer = Tracer(settings.tracing, "liveshelf-job") if settings.tracing.otlp_endpoint else None
        metrics = self._metrics = JobMetrics(settings.job, subtask, experiments, tracer)
        self._closing.callback(metrics.close)
        forget_unused_targets(settings, subtask)
        table = open_experiments(settings, subtask, experiments, metrics.experiments.refused)
        self._closing.callback(table.close)
        models = self._models = ServedModels(
            self._bundle_folder, Place(settings, subtask, self._python, metrics.models, experiments)
        )
        self._closing.callback(models.close)
        models.open()
        metrics.catalogue_age.set_function(lambda: models.catalogue_age_s)
        metrics.demand_age.set_function(lambda: models.demand_age_s)
        self._batcher = self._batcher_of(models.scorer)
        self._closing.callback(self._stop_batcher)
        self._batcher.start()
        metrics.waiting.set_function(lambda: self._batcher.waiting)
        decoder = EventDecoder(settings.events, repaired=metrics.repaired)
        metrics.clamped.set_function(lambda: decoder.clamped)
        self._logic = RefreshLogic(
            decoder,
            self._batcher,
            models,
            settings.events,
            settings.scorer,
            time.time,
            chosen(metrics, NullRefreshSensors()),
            with_digest=settings.job.state_digests,
            time_to_live_ms=settings.job.state_ttl_days * DAY_MS,
            transactions=transactions_of(settings.job),
            downstream=self._downstream(),
        )
        metrics.oldest.set_function(lambda: self._logic.oldest_s)
        freeze_loaded()

    def _batcher_of(self, scorer: BatchScorer[Request, Encoded]) -> MicroBatcher[Request, Encoded]:
        settings = self._settings
        return MicroBatcher(
            scorer,
            max_batch=settings.scorer.max_batch,
            max_waiting=settings.scorer.max_waiting,
            deadline_s=settings.scorer.deadline_ms / 1000,
            clock=time.monotonic,
            sensors=chosen(self._metrics, NullSensors()),
            on_answers=self._wake_up.write,
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

    def _downstream(self) -> Downstream:
        """What the operators behind this one are told."""
        settings, feedback, demand = self._settings, None, None
        if settings.feedback.enabled:
            feedback = FeedbackOutputs(lambda: self._models.champion, lambda: self._experiments.plans)
        if settings.demand.enabled:
            demand = outputs = DemandOutputs(
                settings.demand.currency, self._models.is_sold, with_impressions=settings.exploration.enabled
            )
            self._metrics.unknown_items.set_function(lambda: outputs.unknown)
        return Downstream(feedback, demand, OwnErrors(self._metrics.on_own_error, time.time))

    def _stop_batcher(self) -> None:
        if not self._batcher.close():
            log.warning("the scorer hangs: its process is killed")


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
