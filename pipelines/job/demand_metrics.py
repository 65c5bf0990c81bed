"""The demand operator's metrics in Prometheus' format. docs/metrics.md lists them."""

from prometheus_client import CollectorRegistry

from operators.settings import JobSettings
from operators.telemetry.metric_types import Tally
from operators.telemetry.metrics_server import MetricsServer
from pipelines.job.target_files import DEMAND, target_file


class DemandMetrics:
    """What the demand operator of one subtask reports, in a registry and on a port of its own: the sensors of its logic."""

    def __init__(self, settings: JobSettings, subtask: int) -> None:
        registry = self.registry = CollectorRegistry()
        self._entries = Tally(
            "liveshelf_demand_entries", "Items that the events of a batch asked for", [], registry, [()]
        ).counts
        self._records = Tally("liveshelf_demand_records", "Records of items written", [], registry, [()]).counts
        self._own_errors = Tally(
            "liveshelf_own_errors", "Errors of Liveshelf's own code in the operator", ["where"], registry, ("demand",)
        ).counts
        first = settings.metrics_port  # the operators' ports come first, then the feedback join's
        self._server = MetricsServer(
            registry,
            settings.metrics_host,
            first + 2 * settings.parallelism if first else 0,
            target_file(settings, DEMAND, subtask),
            {"job": DEMAND, "subtask": str(subtask)},
        )
        self.port = self._server.port

    def on_batch(self, entries: int, records: int) -> None:
        """As `operators.demand.demand_logic.DemandSensors`."""
        self._entries[()] += entries
        self._records[()] += records

    def on_own_error(self, where: str) -> None:
        """As `operators.demand.demand_logic.DemandSensors`."""
        self._own_errors[where] += 1

    def close(self) -> None:
        """Stops the server."""
        self._server.close()
