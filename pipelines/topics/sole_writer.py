"""Writes a record that follows from the newest one of its topic: of two writers at once, the second reads the first one's."""

import time
from collections.abc import Callable
from typing import TypeVar

from kafka.errors import KafkaError

from operators.configuration.kafka_settings import KafkaSettings
from operators.kafka_io.broker_errors import broker_error, is_final
from operators.kafka_io.kafka_clients import new_producer

TRIES, PAUSE_S = 5, 0.2
BLOCK_MS, ANSWER_S, CLOSE_S = 10_000, 10, 5

T = TypeVar("T")


def write_alone(
    settings: KafkaSettings, writer: str, topic: str, key: bytes, make: Callable[[], tuple[T, bytes | None]]
) -> T:
    """Publishes the value that `make` gives (None: a tombstone), and returns what `make` gives with it. `make` reads the topic;
    it is called again where another writer came in between, or the broker did not answer: then the record of the call before
    may be on the topic. Raises `BrokerError`, and what `make` raises.

    Kafka has no compare-and-set. All writers of the topic share the transactional id `writer`: a new one fences off the one
    before, so the newest record that a writer has read is still the newest when it commits.
    """
    last_error: KafkaError | None = None
    for attempt in range(TRIES):
        try:
            return _write(settings, writer, topic, key, make)
        except KafkaError as error:  # another writer fenced this one off, or the broker is away
            last_error = error
            if is_final(error):
                break
            time.sleep(PAUSE_S * attempt)
    assert last_error is not None
    raise broker_error(last_error, settings.client_options()) from last_error


def _write(
    settings: KafkaSettings, writer: str, topic: str, key: bytes, make: Callable[[], tuple[T, bytes | None]]
) -> T:
    producer = new_producer(settings, transactional_id=writer, max_block_ms=BLOCK_MS)
    try:
        producer.init_transactions()
        made, value = make()
        producer.begin_transaction()
        producer.send(topic, key=key, value=value).get(ANSWER_S)
        producer.commit_transaction()
        return made
    finally:
        producer.close(timeout=CLOSE_S)
