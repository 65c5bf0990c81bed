"""The broker's JMX as Prometheus metrics: the exporter runs in the broker as a Java agent."""

import yaml

from deploy.local.layout import Layout
from operators.settings import Settings

AGENT = "jmx_prometheus_javaagent-1.0.1.jar"
# every MBean of a broker would be thousands of series: these are the ones that dashboards and alerts ask
BEANS = (
    "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic=*",
    "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec,topic=*",
    "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec,topic=*",
    "kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions",
    "kafka.controller:type=KafkaController,name=OfflinePartitionsCount",
    "kafka.network:type=RequestMetrics,name=TotalTimeMs,request=Produce",
    "kafka.log:type=Log,name=Size,topic=*,partition=*",
    "java.lang:type=Memory",
)
RULES = [
    {
        "pattern": r"kafka.server<type=BrokerTopicMetrics, name=(Messages|Bytes)(In|Out)PerSec, topic=(.+)><>Count",
        "name": "kafka_topic_$1_$2_total",
        "type": "COUNTER",
        "labels": {"topic": "$3"},
    },
    {
        "pattern": r"kafka.server<type=ReplicaManager, name=UnderReplicatedPartitions><>Value",
        "name": "kafka_server_under_replicated_partitions",
        "type": "GAUGE",
    },
    {
        "pattern": r"kafka.controller<type=KafkaController, name=OfflinePartitionsCount><>Value",
        "name": "kafka_controller_offline_partitions",
        "type": "GAUGE",
    },
    {
        "pattern": r"kafka.network<type=RequestMetrics, name=TotalTimeMs, request=Produce><>99thPercentile",
        "name": "kafka_network_produce_p99_milliseconds",
        "type": "GAUGE",
    },
    {
        "pattern": r"kafka.log<type=Log, name=Size, topic=(.+), partition=(.+)><>Value",
        "name": "kafka_log_size_bytes",
        "type": "GAUGE",
        "labels": {"topic": "$1", "partition": "$2"},
    },
    {
        "pattern": r"java.lang<type=Memory><HeapMemoryUsage>used",
        "name": "kafka_jvm_heap_used_bytes",
        "type": "GAUGE",
    },
]


def prepare_broker_metrics(layout: Layout) -> None:
    """Writes the exporter's configuration."""
    config = {"lowercaseOutputName": True, "includeObjectNames": [*BEANS], "rules": RULES}
    (layout.kafka / "jmx.yml").write_text(yaml.safe_dump(config))


def agent_option(settings: Settings, layout: Layout) -> str:
    """The option of `java` that loads it."""
    return f"-javaagent:{layout.jars}/{AGENT}=127.0.0.1:{settings.stack.broker_metrics_port}:{layout.kafka}/jmx.yml"
