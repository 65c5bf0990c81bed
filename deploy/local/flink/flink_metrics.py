"""Flink's metrics as Prometheus metrics, on loopback.

Flink's own Prometheus reporter listens on all interfaces and knows no option for it (2.3). So each process reports to
its own JVM (JMX without a port), where the exporter that watches the broker reads it and listens where we say.
Names and labels are those of Flink's reporter, so that dashboards and alerts hold for a cluster that uses that one.
"""

import yaml

from deploy.local.layout import Layout
from operators.settings import Settings

REPORTER = "metrics-jmx"
AGENT_LINK = (
    "metrics-agent.jar"  # in the Flink home: its scripts split options at blanks, and the jars may lie anywhere
)
RULES_FILE = "conf/metrics.yml"
REPORTING = {
    "metrics.reporters": "jmx",
    "metrics.reporter.jmx.factory.class": "org.apache.flink.metrics.jmx.JMXReporterFactory",
}
# all of them would be thousands of series and a core for a second: these are what dashboards, alerts and benchmarks ask
BEANS = (
    "jobmanager.job.*",
    "jobmanager.Status.JVM.Memory.*",
    "taskmanager.Status.JVM.Memory.*",
    "taskmanager.job.task.busyTimeMsPerSecond",
    "taskmanager.job.task.backPressuredTimeMsPerSecond",
    "taskmanager.job.task.numRecordsInPerSecond",
    "taskmanager.job.task.numRecordsOutPerSecond",
    "taskmanager.job.task.operator.pendingRecords",
    "taskmanager.job.task.operator.liveshelfBatches",
    "taskmanager.job.task.operator.liveshelfBatchEntries",
    "taskmanager.job.task.operator.user.rocksdb.*",
    "taskmanager.job.task.operator.feedback.rocksdb.*",
    "taskmanager.job.task.operator.demand.rocksdb.*",
)
LABELS = ("job_id", "job_name", "task_id", "task_name", "subtask_index", "operator_name", "tm_id", "host")
# looked for first, because most attributes end here. A meter counts too: of counters only our own are taken
GAUGES_AND_METERS, COUNTERS = "(?=.*><>(?:Value|Rate): )", r"(?=[^<]+\.liveshelf.*><>Count: )"


def rules() -> dict[str, object]:
    """The exporter's configuration."""
    # the order of a bean's properties is that of a hash table: each label is looked for by itself
    places = "".join(f"(?=(?:.*[<, ]{label}=([^,>]+))?)" for label in LABELS)
    labels = {label: f"${number}" for number, label in enumerate(LABELS, 2)}
    return {
        "includeObjectNames": [f"org.apache.flink.{bean}:*" for bean in BEANS],
        "rules": [
            {
                "pattern": rf"^{attributes}org\.apache\.flink\.([^<]+){places}<",
                "name": "flink_$1",
                "labels": labels,
                "type": "GAUGE",
                "cache": True,  # the expression is matched once for each bean, not at each scrape
            }
            for attributes in (GAUGES_AND_METERS, COUNTERS)
        ],
    }


def prepare_flink_metrics(layout: Layout) -> None:
    """Writes the exporter's configuration into the Flink home."""
    (layout.flink_home / RULES_FILE).write_text(yaml.safe_dump(rules(), width=10_000))


def agent_option(settings: Settings, layout: Layout, place: int) -> str:
    """The option of `java` that loads it: `place` 0 is the JobManager, the TaskManagers follow, each with its own port."""
    home = layout.alias / layout.flink_home.name
    return f"-javaagent:{home}/{AGENT_LINK}=127.0.0.1:{settings.stack.flink_metrics_port + place}:{home}/{RULES_FILE}"
