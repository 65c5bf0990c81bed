"""What a following trainer reports to Prometheus, beside the metrics of a training."""

from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge

from operators.telemetry.metric_types import Tally
from operators.telemetry.metrics_server import MetricsServer

if TYPE_CHECKING:  # the page of metrics needs no torch
    from model_export.follow.follower import Outcome
    from model_export.follow.history import History

KINDS, VERDICTS = ("light", "weights"), ("promoted", "refused", "held", "waited", "failed")
GAUGES = {
    "round_seconds": "Seconds that the last round took",
    "new_examples": "New examples that the last round of weights learned",
    "replayed_examples": "Examples that it learned again, against forgetting",
    "joined_items": "Items that joined in the last round with a candidate",
    "left_items": "Items that left in it",
    "history_events": "Events in the trainer's history",
    "promoted_timestamp_seconds": "When a candidate was promoted last, epoch s",
    "read_timestamp_seconds": "When the topics were read to their end last, epoch s",
}


class FollowMetrics:
    """Serves `liveshelf_train_<name>` of a trainer that follows the topics."""

    def __init__(self, first_port: int, targets: Path | None) -> None:
        """`targets`: a file for Prometheus' file_sd."""
        self.registry = CollectorRegistry()
        self._gauges = {
            name: Gauge(f"liveshelf_train_{name}", text, registry=self.registry) for name, text in GAUGES.items()
        }
        shown = [(kind, verdict) for kind in KINDS for verdict in VERDICTS]
        self.rounds = Tally(
            "liveshelf_train_rounds",
            "Rounds by kind and by what became of them; held: after a rollback",
            ("kind", "verdict"),
            self.registry,
            shown,
        )
        self._records = Tally(
            "liveshelf_train_records", "Records of the topics, by what became of them", ("what",), self.registry
        )
        self._server = MetricsServer(self.registry, "127.0.0.1", first_port, targets, {"job": "trainer"})

    def read(self, history: "History", now_s: float) -> None:
        """The topics were read."""
        self._gauges["history_events"].set(history.event_count)
        self._gauges["read_timestamp_seconds"].set(now_s)
        self._records.counts.update(history.counts - self._records.counts)

    def ended(self, outcome: "Outcome", now_s: float) -> None:
        """A round ended."""
        self.rounds.counts[outcome.kind, outcome.verdict] += 1
        self._gauges["round_seconds"].set(outcome.seconds)
        if (candidate := outcome.candidate) is None:
            return
        self._gauges["joined_items"].set(candidate.joined)
        self._gauges["left_items"].set(candidate.left)
        if outcome.kind == "weights":
            self._gauges["new_examples"].set(candidate.new)
            self._gauges["replayed_examples"].set(candidate.replayed)
        if outcome.passed:
            self._gauges["promoted_timestamp_seconds"].set(now_s)

    def close(self) -> None:
        """Stops the server."""
        self._server.close()
