"""What a following trainer reports to Prometheus, beside the metrics of a training."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge

from operators.records.contracts import EVENTS, EXAMPLES
from operators.telemetry.metric_types import Tally
from operators.telemetry.metrics_server import MetricsServer

if TYPE_CHECKING:  # the page of metrics needs no torch
    from model_export.follow.follower import Outcome
    from model_export.follow.history import History

KINDS, VERDICTS = ("light", "weights"), ("promoted", "refused", "held", "waited", "failed")
LEARNED_FROM = (EVENTS, EXAMPLES)
GAUGES = {
    "round_seconds": "Seconds that the last round took",
    "new_examples": "New examples that the last round of weights learned",
    "replayed_examples": "Examples that it learned again, against forgetting",
    "joined_items": "Items that joined in the last round with a candidate",
    "left_items": "Items that left in it",
    "history_events": "Events in the trainer's history",
    "promoted_timestamp_seconds": "When a candidate was promoted last, epoch s",
    "weights_timestamp_seconds": "When the weights of the champion were trained, epoch s: a light round keeps them",
    "weights_every_seconds": "How often weights are to be trained, trainer.weights_every_s",
    "refused_rounds": "Rounds of weights that the gate refused since it let weights pass",
    "failed_rounds": "Rounds that failed since one did not",
    "read_timestamp_seconds": "When the topics were read to their end last, epoch s",
}


class FollowMetrics:
    """Serves `liveshelf_train_<name>` of a trainer that follows the topics."""

    def __init__(self, first_port: int, targets: Path | None, weights_every_s: float = 0.0) -> None:
        """`targets`: a file for Prometheus' file_sd; `weights_every_s`: of the settings."""
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
        self._lost = Tally(
            "liveshelf_train_lost_records",
            "Records that left a topic before the trainer read them",
            ("topic",),
            self.registry,
            [(topic,) for topic in LEARNED_FROM],
        )
        self._gauges["weights_every_seconds"].set(weights_every_s)
        self._server = MetricsServer(self.registry, "127.0.0.1", first_port, targets, {"job": "trainer"})

    def read(self, history: "History", lost: Mapping[str, int], weights_s: float, now_s: float) -> None:
        """The topics were read. `lost`: records that left them before, by topic; `weights_s`: when the champion's weights were
        trained, epoch s."""
        for topic, count in lost.items():
            self._lost.counts[topic,] = count
        self._gauges["weights_timestamp_seconds"].set(weights_s)
        self._gauges["history_events"].set(history.event_count)
        self._gauges["read_timestamp_seconds"].set(now_s)
        self._records.counts.update(history.counts - self._records.counts)

    def ended(self, outcome: "Outcome", now_s: float) -> None:
        """A round ended."""
        self.rounds.counts[outcome.kind, outcome.verdict] += 1
        self._gauges["failed_rounds"].set(0)
        self._gauges["round_seconds"].set(outcome.seconds)
        if (candidate := outcome.candidate) is None:
            return
        self._gauges["joined_items"].set(candidate.joined)
        self._gauges["left_items"].set(candidate.left)
        if outcome.kind == "weights":
            self._gauges["new_examples"].set(candidate.new)
            self._gauges["replayed_examples"].set(candidate.replayed)
            if outcome.verdict == "refused":
                self._gauges["refused_rounds"].inc()
            elif outcome.passed:
                self._gauges["refused_rounds"].set(0)
        if outcome.passed:
            self._gauges["promoted_timestamp_seconds"].set(now_s)

    def failed(self, kind: str) -> None:
        """A round failed."""
        self.rounds.counts[kind, "failed"] += 1
        self._gauges["failed_rounds"].inc()

    def close(self) -> None:
        """Stops the server."""
        self._server.close()
