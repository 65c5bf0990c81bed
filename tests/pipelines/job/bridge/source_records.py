"""Records as a source of the job reads them, made in a JVM without a broker."""

from collections.abc import Iterable
from typing import Any

from operators.configuration.kafka_security import SHADED

TOPIC, PARTITION, OFFSET, BROKER_MS = "shop.events.v1", 3, 2**40, 1_760_000_000_123


def shaded(jvm: Any, name: str) -> Any:
    """A class of the connector's Kafka client."""
    found = jvm
    for part in f"{SHADED}.{name}".split("."):
        found = getattr(found, part)
    return found


def read_records(jvm: Any, max_chars: int, records: Iterable[tuple[bytes | None, bytes | None]]) -> tuple[Any, Any]:
    """The Java deserializer, and a Java list of what it makes of records with these keys and values."""
    source = jvm.org.liveshelf.bridge.SourceRecords(max_chars)
    source.open(None)
    read = jvm.java.util.ArrayList()
    out = jvm.org.apache.flink.api.common.functions.util.ListCollector(read)
    broker_time = shaded(jvm, "common.record.TimestampType").LOG_APPEND_TIME
    for key, value in records:
        sizes = len(key or b""), len(value or b"")
        headers = shaded(jvm, "common.header.internals.RecordHeaders")()
        record = shaded(jvm, "clients.consumer.ConsumerRecord")(
            TOPIC,
            PARTITION,
            OFFSET,
            BROKER_MS,
            broker_time,
            *sizes,
            key,
            value,
            headers,
            jvm.java.util.Optional.empty(),
        )
        source.deserialize(record, out)
    return source, read
