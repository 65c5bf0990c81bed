"""The consumer of a local table: kafka-python's, with the topic's id and how long it keeps tombstones."""

import logging
from typing import Any, Protocol

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import connect, topic_id

log = logging.getLogger(__name__)
DESCRIBE_MS = 5000


class Consumer(Protocol):
    """The part of kafka-python's consumer that a table uses; a test brings its own.

    `topic_id`: None where the broker knows none. `tombstones_ms`: the topic's `delete.retention.ms`, None: unknown.
    """

    def topic_id(self, topic: str) -> str | None: ...
    def tombstones_ms(self, topic: str) -> int | None: ...
    def partitions_for_topic(self, topic: str) -> set[int] | None: ...
    def assign(self, partitions: list[TopicPartition]) -> None: ...
    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]: ...
    def end_offsets(
        self, partitions: list[TopicPartition], timeout_ms: int | None = None
    ) -> dict[TopicPartition, int]: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    def position(self, partition: TopicPartition) -> int: ...
    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]: ...
    def close(self) -> None: ...


class _Consumer(KafkaConsumer):  # type: ignore[misc]  # kafka-python has no types
    """kafka-python's consumer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        admin_options = {name: value for name, value in options.items() if name in KafkaAdminClient.DEFAULT_CONFIG}
        admin_options.pop("kafka_client", None)  # this consumer's own
        self._admin_options = admin_options | {"bootstrap_timeout_ms": DESCRIBE_MS, "request_timeout_ms": DESCRIBE_MS}

    def topic_id(self, topic: str) -> str | None:
        return topic_id(self, topic)

    def tombstones_ms(self, topic: str) -> int | None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        try:
            admin = connect(KafkaAdminClient, self._admin_options)
            try:
                config = admin.describe_configs([resource], config_filter="all").get("topic", {}).get(topic, {})
            finally:
                admin.close()
        except (KafkaError, BrokerError) as error:  # such as a broker that does not know the request
            log.warning("%s cannot be described, so a copy counts as old sooner: %r", topic, error)
            return None
        retention = config.get("delete.retention.ms")  # absent if this user may not describe the topic
        return int(retention["value"]) if retention else None


def kafka_consumer(options: dict[str, Any]) -> Consumer:
    """A consumer of `KafkaSettings.consumer_options`: without group, the table keeps its own offsets."""
    # an offset that the topic does not have is an error: the table must know that it missed something
    consumer: Consumer = connect(_Consumer, options | {"auto_offset_reset": "none"})
    return consumer
