"""The feedback join's metrics in Prometheus' format. docs/metrics.md lists them."""

from prometheus_client import CollectorRegistry

from operators.feedback.join_records import COUNTED
from operators.settings import JobSettings
from operators.telemetry.metric_types import Tally
from operators.telemetry.metrics_server import MetricsServer
from pipelines.job.target_files import FEEDBACK, target_file


class FeedbackMetrics:
    """What the join of one subtask reports, in a registry and on a port of its own: the sensors of its logic."""

    def __init__(self, settings: JobSettings, subtask: int) -> None:
        registry = self.registry = CollectorRegistry()
        self._joined = Tally(
            "liveshelf_feedback",
            "Examples, and records and lists that gave none or lack something, by reason",
            ["reason"],
            registry,
            COUNTED,
        ).counts
        self._own_errors = Tally(
            "liveshelf_own_errors",
            "Errors of Liveshelf's own code in the operator",
            ["where"],
            registry,
            ("feedback",),
        ).counts
        first = settings.metrics_port  # the ports from here on are the operators'
        self._server = MetricsServer(
            registry,
            settings.metrics_host,
            first + settings.parallelism if first else 0,
            target_file(settings, FEEDBACK, subtask),
            {"job": FEEDBACK, "subtask": str(subtask)},
        )
        self.port = self._server.port

    def on_joined(self, reason: str, count: int) -> None:
        """As `operators.feedback.feedback_logic.FeedbackSensors`."""
        self._joined[reason] += count

    def on_own_error(self, where: str) -> None:
        """As `operators.feedback.feedback_logic.FeedbackSensors`."""
        self._own_errors[where] += 1

    def close(self) -> None:
        """Stops the server."""
        self._server.close()
