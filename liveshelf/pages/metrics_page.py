"""docs/metrics.md from the code: `python -m liveshelf.pages.metrics_page docs/metrics.md` (`make monitoring`)."""

import sys
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from deploy.monitoring.rules import RECORDED
from model_export.follow.follow_metrics import FollowMetrics
from model_export.training.train_metrics import TrainMetrics
from operators.experiments.assignment import Experiments
from operators.quality import expectations
from operators.settings import Settings
from pipelines.job.demand_metrics import DemandMetrics
from pipelines.job.feedback_metrics import FeedbackMetrics
from pipelines.job.job_metrics import JobMetrics
from pipelines.monitor.stream_monitor import StreamMonitor
from pipelines.scoring.cache_metrics import CacheMetrics
from pipelines.scoring.slate_metrics import SlateMetrics
from storefront.watching.metrics import StoreMetrics

HEAD = """# Metrics

`make monitoring` writes this page from the code. Each process serves its own metrics over HTTP in Prometheus' format.
The local stack's Prometheus finds all of them. No label contains a user or an item.

Three more groups exist: Flink's own metrics (`flink_…`), the broker's (`kafka_…`, from the JMX exporter), and each
process's CPU, memory and start time (`process_…`).
"""
PROCESSES = {
    "The operator, in the active TaskManager: port 9260 and up": "job",
    "The feedback join of each operator, where `feedback.enabled` is set: the ports after the operators'": "feedback",
    "The demand operator of each subtask, where `demand.enabled` is set: the ports after the join's": "demand",
    "The scorer process of each operator: port 9300 and up": "scorer",
    "The monitor, which reads the topics from outside: port 9280": "monitor",
    "The storefront: port 8000": "storefront",
    "A training, while it runs: port 9290": "trainer",
    "A trainer that follows the topics, while `liveshelf train --follow` runs: port 9290, on 127.0.0.1 only": "follower",
}
STAGES = """
The stages of a list sum to its freshness (`operators/telemetry/timeline.py`):

| stage | from | to |
|---|---|---|
| `publish` | the event's time | the broker |
| `read` | the broker | the operator |
| `state` | the operator reads the event | the state is updated and the request submitted |
| `wait` | the request is submitted | its micro-batch starts |
| `score` | the micro-batch starts | the scores are there |
| `rank` | the scores are there | the list is made |
| `emit` | the list is made | the operator emits it |

The stage `recover` is the whole time of a list that a timer (a promise) requested again.
`liveshelf_storefront_freshness_seconds` includes the time until a reader has the list.
"""
JAVA_HALF = """
The Java half of the operator counts its calls of Python among Flink's own metrics. Their quotient is the size of a batch.
The label `operator_name` tells the operator (`refresh`) from the feedback join (`feedback`) and from the demand operator
(`demand`):

| metric | type | labels | what |
|---|---|---|---|
| `flink_taskmanager_job_task_operator_liveshelfBatches` | counter | Flink's | Batches that the operator handed to Python |
| `flink_taskmanager_job_task_operator_liveshelfBatchEntries` | counter | Flink's | Records and fired timers in them |
"""


def registries(settings: Settings) -> dict[str, CollectorRegistry]:
    """Process -> its registry right after the start."""
    job = JobMetrics(settings.job, 0, Experiments(settings.experiment))
    scorer = CollectorRegistry()
    SlateMetrics(scorer, Experiments(settings.experiment))
    CacheMetrics(scorer)
    trainer = TrainMetrics(settings.trainer.metrics_port, None)
    follower = FollowMetrics(settings.trainer.metrics_port, None)
    feedback, demand = FeedbackMetrics(settings.job, 0), DemandMetrics(settings.job, 0)
    for metrics in (job, feedback, demand, trainer, follower):
        metrics.close()
    monitor = StreamMonitor(settings).metrics
    return {
        "job": job.registry,
        "feedback": feedback.registry,
        "demand": demand.registry,
        "scorer": scorer,
        "monitor": monitor.registry,
        "storefront": StoreMetrics().registry,
        "trainer": trainer.registry,
        "follower": follower.registry,
    }


def families(registry: CollectorRegistry) -> list[tuple[str, str, tuple[str, ...], str]]:
    """(name as Prometheus stores it, type, labels, help) of each Liveshelf metric."""
    rows = []
    for collector in [*registry._collector_to_names]:
        labels: Any = getattr(collector, "_labelnames", None) or getattr(collector, "labels", ())
        for family in collector.collect():
            if family.name.startswith("liveshelf_"):
                name = f"{family.name}_total" if family.type == "counter" else family.name
                rows.append((name, family.type, tuple(labels) if not callable(labels) else (), family.documentation))
    return rows


def page(settings: Settings) -> str:
    """The whole page."""
    parts, by_process = [HEAD], registries(settings)
    for title, process in PROCESSES.items():
        rows = [
            f"| `{name}` | {kind} | {', '.join(labels)} | {text} |"
            for name, kind, labels, text in families(by_process[process])
        ]
        parts.append(
            "\n".join([f"\n## {title}\n", "| metric | type | labels | what |", "|---|---|---|---|", *rows, ""])
        )
        if process == "job":
            parts.append(STAGES + JAVA_HALF)
        if process == "monitor":
            table = str(expectations.__doc__).split("\n\n", 1)[1]
            parts.append(f"\nThe expectations:\n\n{table}\n")
    rows = [f"| `{name}` | `{text.replace('@', '').replace('|', chr(92) + '|')}` |" for name, text in RECORDED.items()]
    head = [
        "\n## Recorded by the rules\n",
        "`liveshelf:freshness_seconds:quantile1m` has the p50, p95 and p99 of the last minute.\n",
    ]
    parts.append("\n".join([*head, "| name | what |", "|---|---|", *rows, ""]))
    return "".join(parts)


def main() -> None:
    """Writes the page."""
    Path(sys.argv[1]).write_text(page(Settings.model_construct()))


if __name__ == "__main__":
    main()
