"""The feedback join's metrics in Prometheus' format. docs/metrics.md lists them."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry

from operators.feedback.join_records import COUNTED, OUTCOMES_OF_ARMS, REVENUE, ArmOutcome
from operators.settings import JobSettings
from operators.telemetry.metric_types import Tally
from operators.telemetry.metrics_server import MetricsServer
from pipelines.job.target_files import FEEDBACK, target_file

UNKNOWN = "", "unknown_arm"


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
        self._outcomes = Tally(
            "liveshelf_experiment_outcomes",
            "Items of lists by experiment and arm: shown for the first time, or with a better outcome than before",
            ["experiment", "arm", "outcome"],
            registry,
        ).counts
        self._revenue = Tally(
            "liveshelf_experiment_revenue",
            "Price times quantity of purchases of one item of a list, by experiment and arm, whatever the currency",
            ["experiment", "arm"],
            registry,
        ).counts
        self._own_errors = Tally(
            "liveshelf_own_errors",
            "Errors of Liveshelf's own code in the operator",
            ["where"],
            registry,
            ("feedback",),
        ).counts
        self._arms = frozenset[tuple[str, str]]()
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

    def on_arms(self, arms: Collection[tuple[str, str]]) -> None:
        """As `operators.feedback.feedback_logic.FeedbackSensors`."""
        self._arms = frozenset((experiment, arm) for experiment, arm in arms)
        for counts in (self._outcomes, self._revenue):
            for ended in [labels for labels in counts if labels[:2] not in (*self._arms, UNKNOWN)]:
                del counts[ended]
        for arm in self._arms:  # Prometheus sees an increase only from 0 on
            self._revenue[arm] += 0
            for outcome in OUTCOMES_OF_ARMS:
                if outcome != REVENUE:
                    self._outcomes[*arm, outcome] += 0

    def on_arm_outcome(self, outcome: ArmOutcome) -> None:
        """As `operators.feedback.feedback_logic.FeedbackSensors`. Arms that do not run share one label: lists of the past, and
        state of other releases, must not make more and more of them."""
        arm = outcome.experiment.name, outcome.experiment.arm
        arm = arm if arm in self._arms else UNKNOWN
        if outcome.outcome == REVENUE:
            self._revenue[arm] += outcome.amount  # type: ignore[assignment]
        else:
            self._outcomes[*arm, outcome.outcome] += int(outcome.amount)

    def on_own_error(self, where: str) -> None:
        """As `operators.feedback.feedback_logic.FeedbackSensors`."""
        self._own_errors[where] += 1

    def close(self) -> None:
        """Stops the server."""
        self._server.close()
