"""The storefront's metrics."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from operators.kafka_io.compacted_table import LISTENER_FAILED, OWN_ERROR
from operators.kafka_io.list_outlines import ListOutline
from operators.kafka_io.list_rows import REFUSALS, UNREADABLE
from operators.records.trace_context import sampled_trace
from operators.telemetry.metric_types import BatchHistogram, Tally
from operators.telemetry.tracing import Tracer


class StoreMetrics:
    """Counters in a registry of their own."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "liveshelf_storefront_requests",
            "Requests, by route and status",
            ["route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "liveshelf_storefront_request_seconds",
            "Time of a request",
            ["route"],
            registry=self.registry,
            buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
        )
        self.served = Counter(
            "liveshelf_storefront_lists_served", "Lists served, by source", ["source"], registry=self.registry
        )
        self.events = Counter(
            "liveshelf_storefront_events", "Events received, by outcome", ["outcome"], registry=self.registry
        )

        self.impressions = Counter(
            "liveshelf_storefront_impressions",
            "Impressions of lists that were read, by outcome, where storefront.impressions is reads",
            ["outcome"],
            registry=self.registry,
        )
        self.exceptions = Counter(
            "liveshelf_storefront_exceptions",
            "Errors in the storefront's own code, before or after an answer started",
            ["type"],
            registry=self.registry,
        )
        self.freshness = BatchHistogram(
            "liveshelf_storefront_freshness_seconds",
            "Time from an event to its list being readable here",
            (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            self.registry,
        )
        self.refused = Tally(
            "liveshelf_storefront_refused_lists",
            "Records of the topic of lists that the storefront ignored, by reason; `unreadable`: reads of a list whose items cannot be decoded",
            ["reason"],
            self.registry,
            (*REFUSALS, UNREADABLE, OWN_ERROR, LISTENER_FAILED),
        )
        self.catalogue_age = self._gauge("catalogue_age_seconds", "Time since the catalogue topic last answered")
        self.lists_age = self._gauge("lists_age_seconds", "Time since the topic of lists last answered")
        self.demand_age = self._gauge(
            "demand_age_seconds", "Time since the topic of demand last answered; 0 where it is not read"
        )
        self.streams = self._gauge("streams", "Open SSE streams")
        self._process = ProcessCollector(registry=self.registry)

    def on_list(self, newest: ListOutline | None) -> None:
        """Records the freshness of a list that has just become readable."""
        if newest is None:
            return
        seconds = max(0.0, time.time() - newest.event_time / 1000)
        trace_id = sampled_trace(newest.traceparent)
        self.freshness.observe_value(seconds)
        if trace_id:
            self.freshness.exemplar(seconds, trace_id)
        if trace_id and self._tracer is not None and newest.traceparent:
            self._tracer.readable(newest.traceparent, newest.generated_at / 1000, time.time())

    def on_impressions(self, outcome: str, count: int) -> None:
        """Counts impressions that the storefront published itself."""
        self.impressions.labels(outcome).inc(count)

    def close(self) -> None:
        """Sends the spans that are still queued."""
        if self._tracer is not None:
            self._tracer.close()

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(f"liveshelf_storefront_{name}", help_text, registry=self.registry)
