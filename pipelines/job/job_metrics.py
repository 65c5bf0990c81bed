"""The operator's metrics in Prometheus' format, served by the TaskManager's interpreter. docs/metrics.md lists them."""

import threading
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from prometheus_client import CollectorRegistry, Gauge, Histogram

from operators.experiments.assignment import Experiments
from operators.experiments.experiment_metrics import ExperimentMetrics
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.contracts import Event, Source
from operators.records.trace_context import sampled_trace
from operators.settings import JobSettings
from operators.shopper.user_state import is_return
from operators.telemetry.metric_types import BatchHistogram, CountedElsewhere, Tally
from operators.telemetry.metrics_server import MetricsServer
from operators.telemetry.timeline import MOMENTS, RECOVER, STAGES, Timeline, stage_seconds
from operators.telemetry.tracing import Tracer
from pipelines.job.models.model_metrics import ModelMetrics

FRESHNESS_BUCKETS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
STAGE_BUCKETS = (0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5, 30)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TARGET_FILE = "operator-{subtask}.json"
FLUSH = 1024  # lists measured together
ACTIONS = ("click", "add_to_cart", "purchase")


class JobMetrics:
    """What one subtask reports, in a registry of its own: the sensors of logic and batcher."""

    def __init__(
        self, settings: JobSettings, subtask: int, experiments: Experiments, tracer: Tracer | None = None
    ) -> None:
        self._tracer = tracer
        registry = self.registry = CollectorRegistry()
        # numbers side by side: a tuple for each list would be garbage to collect
        self._moments = array("d")  # of the lists since the last flush, as in `Timeline`
        self._recovered = array("d")  # seconds
        self._traced: list[tuple[int, str]] = []  # number of the list in `_moments`, its traceparent
        self._lock = threading.Lock()  # a scrape flushes too
        self._counters(registry, experiments)
        self._histograms(registry)
        self._gauges(registry)
        self.models = ModelMetrics(registry)
        self._experiments = experiments
        targets = Path(settings.metrics_targets_dir) / TARGET_FILE.format(subtask=subtask)
        self._server = MetricsServer(
            registry,
            settings.metrics_host,
            settings.metrics_port,
            targets if settings.metrics_targets_dir else None,
            {"job": "operator", "subtask": str(subtask)},
        )
        self.port = self._server.port

    def _counters(self, registry: CollectorRegistry, experiments: Experiments) -> None:
        arms = experiments.labels
        outcomes = ("applied", "duplicate", "erased", "erasure", "dead")
        self._events = Tally("liveshelf_events", "Records read, by outcome", ["outcome"], registry, outcomes).counts
        self._types = Tally("liveshelf_accepted_events", "Events applied, by type", ["event_type"], registry).counts
        self._dead = Tally("liveshelf_dead_letters", "Records refused, by reason", ["reason"], registry).counts
        self.repaired = Tally(
            "liveshelf_repaired_fields",
            "Fields of events that the decoder repaired, by field",
            ["field"],
            registry,
        ).counts
        made_by = [(source, arm) for source in get_args(Source) for arm in arms]
        self._lists = Tally(
            "liveshelf_lists", "Lists emitted, by source and arm", ["source", "arm"], registry, made_by
        ).counts
        causes = ("deadline", "refused", "failed")
        self._fallbacks = Tally("liveshelf_fallbacks", "Fallback lists, by cause", ["cause"], registry, causes).counts
        places = ("record", "answer", "promise", "fallback", "submit", "sensors", "feedback", "demand")
        self._own_errors = Tally(
            "liveshelf_own_errors", "Errors of Liveshelf's own code in the operator", ["where"], registry, places
        ).counts
        self._rewritten = Tally(
            "liveshelf_rewritten_lists", "Lists written again after their transaction was aborted", [], registry, [()]
        ).counts
        self._coalesced = Tally(
            "liveshelf_coalesced", "Requests replaced by a newer one of the same user", [], registry, [()]
        ).counts
        self._deaths = Tally(
            "liveshelf_scorer_thread_deaths", "Scorer threads that an error ended", [], registry, [()]
        ).counts
        self._impressions = Tally(
            "liveshelf_slate_impressions", "Lists that a shopper was shown", ["arm"], registry, arms
        ).counts
        self._actions = Tally(
            "liveshelf_slate_actions",
            "Events with a recommendation_id, by type",
            ["arm", "event_type"],
            registry,
            [(arm, action) for arm in arms for action in ACTIONS],
        ).counts
        self.experiments = ExperimentMetrics(registry, experiments)

    def _histograms(self, registry: CollectorRegistry) -> None:
        self._freshness = BatchHistogram(
            "liveshelf_freshness_seconds",
            "Event time to emission of its list",
            FRESHNESS_BUCKETS,
            registry,
            pending=self._flush,
        )
        self._stages = BatchHistogram(
            "liveshelf_stage_seconds",
            "Time of each stage of a list; the stages sum to its freshness",
            STAGE_BUCKETS,
            registry,
            "stage",
            (*STAGES, RECOVER),
            self._flush,
        )
        self._batch_size = Histogram(
            "liveshelf_batch_size_users", "Users in a micro-batch", registry=registry, buckets=SIZE_BUCKETS
        )
        self._batch_seconds = Histogram(
            "liveshelf_batch_seconds",
            "Time of a micro-batch, features to lists",
            registry=registry,
            buckets=FRESHNESS_BUCKETS,
        )

    def _gauges(self, registry: CollectorRegistry) -> None:
        """What is read when scraped; the operator says from where."""
        self.waiting = Gauge("liveshelf_waiting_requests", "Requests that wait for the scorer", registry=registry)
        self.oldest = Gauge(
            "liveshelf_oldest_waiting_seconds", "Age of the oldest unanswered request", registry=registry
        )
        self.catalogue_age = Gauge(
            "liveshelf_catalogue_age_seconds", "Time since the catalogue topic last answered", registry=registry
        )
        self.demand_age = Gauge(
            "liveshelf_demand_age_seconds",
            "Time since the topic of demand last answered; 0 where it is not read",
            registry=registry,
        )
        self.clamped = CountedElsewhere(
            "liveshelf_clamped_events", "Events whose time was too far ahead and was set to the broker's", registry
        )
        self.unknown_items = CountedElsewhere(
            "liveshelf_demand_unknown_items",
            "Items of events that neither the model nor the catalogue knows: they are not counted as demand",
            registry,
        )

    def on_record(self, outcome: str) -> None:
        """As `operators.refresh.refresh_sensors.RefreshSensors`."""
        self._events[outcome] += 1

    def on_event(self, event: Event, version: int) -> None:
        """As `operators.refresh.refresh_sensors.RefreshSensors`."""
        kind = event.event_type
        self._types[kind] += 1
        if version == 1 and kind != "impression":
            self.experiments.on_new_user(event.user_id)
        if event.recommendation_id is not None:
            if kind == "impression":
                self._impressions[self._experiments.label(event.user_id)] += 1
            elif kind in ACTIONS and not is_return(event):
                self._actions[self._experiments.label(event.user_id), kind] += 1

    def on_dead_letter(self, reason: str) -> None:
        """As `operators.refresh.refresh_sensors.RefreshSensors`."""
        self._dead[reason] += 1

    def on_lists(self, lists: Sequence[tuple[Encoded, Request]], emitted_s: float) -> None:
        """As `operators.refresh.refresh_sensors.RefreshSensors`."""
        with self._lock:
            counts, take = self._lists, self._moments.fromlist
            for emitted, request in lists:
                counts[emitted.source, emitted.arm] += 1
                batch, arrival, event_s = emitted.times, request.arrival, request.event_time / 1000
                if batch is None or arrival is None:
                    self._recovered.append(emitted_s - event_s)
                    continue
                if request.traceparent is not None:
                    self._traced.append((len(self._moments) // MOMENTS, request.traceparent))
                broker, read, submitted = arrival
                take([event_s, broker, read, submitted, batch.started, batch.scored, batch.ready, emitted_s])
            # where Prometheus is away nobody else flushes; in an outage of the model all lists are of promises
            if len(self._moments) >= FLUSH * MOMENTS or len(self._recovered) >= FLUSH:
                self._observe()

    def on_fallback(self, cause: str) -> None:
        """As `operators.refresh.refresh_sensors.RefreshSensors`."""
        self._fallbacks[cause] += 1

    def on_own_error(self, where: str) -> None:
        """As `operators.refresh.refresh_sensors.RefreshSensors`."""
        self._own_errors[where] += 1

    def on_rewritten(self) -> None:
        """As `operators.refresh.refresh_sensors.RefreshSensors`."""
        self._rewritten[()] += 1

    def on_batch(self, size: int, seconds: float) -> None:
        """As `operators.refresh.micro_batcher.BatchSensors`."""
        self._batch_size.observe(size)
        self._batch_seconds.observe(seconds)

    def on_coalesced(self) -> None:
        """As `operators.refresh.micro_batcher.BatchSensors`."""
        self._coalesced[()] += 1

    def on_thread_died(self) -> None:
        """As `operators.refresh.micro_batcher.BatchSensors`."""
        self._deaths[()] += 1

    def close(self) -> None:
        """Stops the server and sends the spans that wait."""
        self._server.close()
        if self._tracer is not None:
            self._flush()
            self._tracer.close()

    def _flush(self) -> None:
        with self._lock:
            self._observe()

    def _observe(self) -> None:
        """Measures the lists since the last time; under the lock."""
        late, lines, traced = self._recovered, self._moments, self._traced
        self._recovered, self._moments, self._traced = array("d"), array("d"), []
        if late:
            self._freshness.observe(np.array(late))
            self._stages.observe(np.array(late), RECOVER)
        if not lines:
            return
        moments = np.array(lines).reshape(-1, MOMENTS)
        seconds = stage_seconds(moments)
        whole = seconds.sum(axis=1)
        self._freshness.observe(whole)
        self._stages.observe_columns(seconds, STAGES)
        for number, traceparent in traced:
            if trace_id := sampled_trace(traceparent):
                self._freshness.exemplar(float(whole[number]), trace_id)
                if self._tracer is not None:
                    self._tracer.listed(traceparent, Timeline(*moments[number].tolist()))
