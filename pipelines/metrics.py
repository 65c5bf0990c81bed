"""The operator's metrics in Prometheus' format, served by the TaskManager's interpreter."""

import contextlib
import threading
from collections.abc import Callable
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

FRESHNESS_BUCKETS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
PORTS_TRIED = 16


class JobMetrics:
    """Counters of one subtask in a registry of its own; `close` gives back the port."""

    def __init__(self, first_port: int) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.events = Counter("liveshelf_events", "Records read, by outcome", ["outcome"], registry=registry)
        self.dead_letters = Counter("liveshelf_dead_letters", "Dead letters, by reason", ["reason"], registry=registry)
        self.lists = Counter("liveshelf_lists", "Lists emitted, by source", ["source"], registry=registry)
        self.fallbacks = Counter(
            "liveshelf_fallbacks", "Lists the model did not make, by cause", ["cause"], registry=registry
        )
        self.coalesced = Counter(
            "liveshelf_coalesced", "Requests replaced by a newer one of the user", registry=registry
        )
        self.clamped = Gauge(
            "liveshelf_clamped_events", "Events whose time was ahead and was clamped", registry=registry
        )
        self.freshness = Histogram(
            "liveshelf_freshness_seconds",
            "Event time to emission of its list",
            registry=registry,
            buckets=FRESHNESS_BUCKETS,
        )
        self.batch_size = Histogram(
            "liveshelf_batch_size", "Users in a micro-batch", registry=registry, buckets=SIZE_BUCKETS
        )
        self.batch_seconds = Histogram(
            "liveshelf_batch_seconds",
            "Time of a micro-batch, scores to lists",
            registry=registry,
            buckets=FRESHNESS_BUCKETS,
        )
        self.waiting = Gauge("liveshelf_waiting_requests", "Requests that wait for the scorer", registry=registry)
        self.catalogue_age = Gauge(
            "liveshelf_catalogue_age_seconds", "Since the catalogue topic answered", registry=registry
        )
        self.model = Gauge("liveshelf_model", "1 for the bundle that serves", ["name", "version"], registry=registry)
        # labels() costs more than inc(): bound once for what is counted per record
        self._outcomes = {
            name: self.events.labels(name) for name in ("applied", "duplicate", "erased", "erasure", "dead")
        }
        self._sources = {name: self.lists.labels(name) for name in ("model", "neighbours", "popular")}
        self._server: WSGIServer | None = None
        self._thread: threading.Thread | None = None
        self.port = self._serve(first_port)

    def _serve(self, first_port: int) -> int:
        """The first free port from `first_port` on; 0 when none is free: the job goes on without metrics."""
        for port in range(first_port, first_port + PORTS_TRIED):
            with contextlib.suppress(OSError):
                self._server, self._thread = start_http_server(port, "127.0.0.1", self.registry)
                return port
        return 0

    def clamped_from(self, count: Callable[[], int]) -> None:
        """Reads the number of clamped events from the decoder."""
        self.clamped.set_function(count)

    def on_record(self, outcome: str) -> None:
        """As `operators.refresh_logic.RefreshSensors`."""
        self._outcomes[outcome].inc()

    def on_dead_letter(self, reason: str) -> None:
        """As `operators.refresh_logic.RefreshSensors`."""
        self.dead_letters.labels(reason).inc()

    def on_list(self, source: str, freshness_s: float) -> None:
        """As `operators.refresh_logic.RefreshSensors`."""
        self._sources[source].inc()
        self.freshness.observe(freshness_s)

    def on_fallback(self, cause: str) -> None:
        """As `operators.refresh_logic.RefreshSensors`."""
        self.fallbacks.labels(cause).inc()

    def on_batch(self, size: int, seconds: float) -> None:
        """As `operators.micro_batcher.BatchSensors`."""
        self.batch_size.observe(size)
        self.batch_seconds.observe(seconds)

    def on_coalesced(self) -> None:
        """As `operators.micro_batcher.BatchSensors`."""
        self.coalesced.inc()

    def close(self) -> None:
        """Stops the server."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(5)
