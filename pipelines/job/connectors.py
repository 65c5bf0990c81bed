"""The Kafka sources and sinks of the job: settings of their clients, and the Java objects of `bridge/` that read and write
records as they are."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from operators.configuration.kafka_settings import KafkaSettings
from operators.records import contracts
from operators.records.dead_letter import LARGEST
from operators.settings import JobSettings, Settings
from pipelines.job import demand_messages, feedback_messages


class SourceTopic(NamedTuple):
    """A source of the job. `former_id`: Flink's id of it in savepoints of the job that was written in SQL
    (docs/decisions/0035-kafka-without-sql.md)."""

    name: str
    topic: str
    former_id: str


class Sink(NamedTuple):
    """A sink of the job: the topic of each kind of output that it writes, and settings of its producer that
    `[kafka.client]` may change.

    `former_writer_id`, `former_committer_id`: as `SourceTopic.former_id`, "" where there was none. `always_once`: delivers
    exactly once whatever `job.delivery` says, `always_at_least_once` at least once.
    """

    name: str
    topics: Mapping[str, str]
    producer: Mapping[str, str]
    former_writer_id: str = ""
    former_committer_id: str = ""
    always_once: bool = False
    always_at_least_once: bool = False

    def exactly_once(self, job: JobSettings) -> bool:
        """Whether it writes in transactions."""
        return self.always_once or (job.delivery == "exactly-once" and not self.always_at_least_once)


SOURCE_TOPICS = (
    SourceTopic("events", contracts.EVENTS, "cbc357ccb763df2852fee8c4fc7d55f2"),
    SourceTopic("erasures", contracts.ERASURES, "6cdc5bb954874d922eaee11a8e7b5dd5"),
)
SINKS = (
    Sink(
        "lists",
        {"list": contracts.RECOMMENDATIONS},
        {"linger.ms": "0"},
        "17bf6e63e4706f14081def4b3ea1b6d8",
        "123f961ddb60a58232647785f51fa75e",
    ),
    Sink(
        "dead_letters",
        {"dead": contracts.DEAD_LETTERS, "receipt": contracts.RECEIPTS},
        {},
        "63cd2c02cdfce92ceb60648928afd990",
        "6f7cd0bafb2dd2e29854058fc390f678",
    ),
)
EXAMPLES_SINK = Sink("examples", {feedback_messages.KIND: contracts.EXAMPLES}, {}, always_once=True)
# a record that comes twice says the same: no transactions, whatever `job.delivery` says
ITEMS_SINK = Sink("items", {demand_messages.KIND: contracts.ITEMS}, {"linger.ms": "20"}, always_at_least_once=True)


def consumer_properties(kafka: KafkaSettings, job: JobSettings) -> dict[str, str]:
    """Committed records only: what a producer took back (`pipelines.dead_letters.replay_ledger`, or a shop's own) did not
    happen."""
    return kafka.java_options() | {
        "group.id": job.name,
        "partition.discovery.interval.ms": "10000",
        "isolation.level": "read_committed",
        "fetch.max.wait.ms": "100",
    }


def producer_properties(sink: Sink, kafka: KafkaSettings, job: JobSettings) -> dict[str, str]:
    """Settings of a sink's producer."""
    own = {"acks": "all", "max.request.size": str(LARGEST)}
    if sink.exactly_once(job):
        own["transaction.timeout.ms"] = str(job.transaction_timeout_ms)
    return {**sink.producer, **kafka.java_options(), **own}


def kafka_source(jvm: Any, source: SourceTopic, settings: Settings) -> Any:
    """A `KafkaSource` from the committed offsets on.

    Where the offset to go on from has passed out of retention, it fails (`job.on_lost_events`) instead of going to the
    earliest record in silence; `pipelines.submission.starting_offsets` gives a new group its first offsets.
    """
    kafka = jvm.org.apache.flink.connector.kafka.source
    reset = jvm.org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.OffsetResetStrategy
    lost = reset.NONE if settings.job.on_lost_events == "fail" else reset.EARLIEST
    return (
        kafka.KafkaSource.builder()
        .setTopics(jvm.java.util.Collections.singletonList(source.topic))
        .setStartingOffsets(kafka.enumerator.initializer.OffsetsInitializer.committedOffsets(lost))
        .setProperties(_java(jvm, consumer_properties(settings.kafka, settings.job)))
        .setDeserializer(jvm.org.liveshelf.bridge.SourceRecords(settings.events.max_bytes))
        .build()
    )


def kafka_sink(jvm: Any, sink: Sink, settings: Settings) -> Any:
    """A `KafkaSink` of the operator's outputs of its kinds."""
    job, guarantee = settings.job, jvm.org.apache.flink.connector.base.DeliveryGuarantee
    builder = (
        jvm.org.apache.flink.connector.kafka.sink.KafkaSink.builder()
        .setKafkaProducerConfig(_java(jvm, producer_properties(sink, settings.kafka, job)))
        .setRecordSerializer(jvm.org.liveshelf.bridge.SinkRecords(dict(sink.topics)))
    )
    if not sink.exactly_once(job):
        return builder.setDeliveryGuarantee(guarantee.AT_LEAST_ONCE).build()
    prefix = f"{job.name}-{sink.name}"
    return builder.setDeliveryGuarantee(guarantee.EXACTLY_ONCE).setTransactionalIdPrefix(prefix).build()


def _java(jvm: Any, properties: Mapping[str, str]) -> Any:
    java = jvm.java.util.Properties()
    for name, value in properties.items():
        java.setProperty(name, value)
    return java
