"""The metrics that a training reports to Prometheus while it runs."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from operators.telemetry.metrics_server import MetricsServer

METRICS = {
    "epoch": "Epoch in progress",
    "loss": "Mean training loss of the last epoch",
    "examples_per_second": "Training examples a second in the last epoch",
    "validation_mrr20": "MRR@20 on the validation window after the last epoch",
    "validation_recall20": "Recall@20 on the validation window after the last epoch",
    "examples": "Examples to learn from",
    "items": "Items in the vocabulary",
}


class TrainMetrics:
    """Serves gauges `liveshelf_train_<name>` during the training."""

    def __init__(self, first_port: int, targets: Path | None) -> None:
        self.registry = CollectorRegistry()
        self._gauges = {
            name: Gauge(f"liveshelf_train_{name}", text, registry=self.registry) for name, text in METRICS.items()
        }
        self._targets = targets
        self._server = MetricsServer(self.registry, "127.0.0.1", first_port, targets, {"job": "trainer"})

    def report(self, name: str, value: float) -> None:
        """Sets one of `METRICS`."""
        self._gauges[name].set(value)

    def close(self) -> None:
        """Stops the server and removes the target file, so that a finished training does not count as down."""
        self._server.close()
        if self._targets is not None:
            self._targets.unlink(missing_ok=True)
