"""Creates all clients of kafka-python: within seconds a client connects or a `BrokerError` says why not.

Without this, kafka-python retries for half a minute whatever the cause, does not report it, and leaks a thread.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError, RequestTimedOutError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from operators.configuration.kafka_settings import KafkaSettings
from operators.errors import BrokerError, SettingsError
from operators.kafka_io.broker_errors import broker_error, is_final
from operators.kafka_io.record_batches import read_any_header_name

KINDS = (KafkaConsumer, KafkaProducer, KafkaAdminClient)
TIMEOUTS = (KafkaTimeoutError, RequestTimedOutError)


def new_consumer(settings: KafkaSettings, **more: Any) -> KafkaConsumer:
    """A consumer with `consumer_options` and `more`. Raises `BrokerError` or `SettingsError`."""
    return connect(KafkaConsumer, settings.consumer_options() | more)


def consumer_at_end(settings: KafkaSettings, topic: str) -> KafkaConsumer:
    """A consumer that reads every record that is published to a topic after this returns. Raises `BrokerError` or `SettingsError`."""
    consumer = new_consumer(settings, fetch_max_wait_ms=50)
    try:
        with broker_errors(settings):
            partitions = partitions_of(consumer, topic, settings)
            consumer.assign(partitions)
            consumer.seek_to_end(*partitions)
            for partition in partitions:
                consumer.position(partition)  # `seek_to_end` alone asks the broker at the first poll
    except BaseException:
        consumer.close()
        raise
    return consumer


def new_producer(settings: KafkaSettings, **more: Any) -> KafkaProducer:
    """A producer with `producer_options` and `more`. Raises `BrokerError` or `SettingsError`."""
    return connect(KafkaProducer, settings.producer_options() | more)


def new_admin(settings: KafkaSettings, **more: Any) -> KafkaAdminClient:
    """An admin client with `client_options` and `more`. Raises `BrokerError` or `SettingsError`."""
    return connect(KafkaAdminClient, settings.client_options() | more)


def connect(kind: Any, options: dict[str, Any]) -> Any:
    """A client of one of `KINDS` with the options that this kind has. Raises `BrokerError` or `SettingsError`."""
    if unknown := options.keys() - {name for client_kind in KINDS for name in client_kind.DEFAULT_CONFIG}:
        raise SettingsError(
            "options that kafka-python knows in [kafka.client] and [kafka.client.python]",
            f"`{min(unknown)}`",
            "correct it, or move it to [kafka.client.java] where it is meant for Flink's clients",
        )
    attempts: list[tuple[KafkaNetClient, _Impatient]] = []

    def impatient(**configs: Any) -> KafkaNetClient:
        net = NetworkSelector(**configs)
        manager = _Impatient(net, **configs)
        attempts.append((KafkaNetClient(net=net, manager=manager), manager))
        return attempts[0][0]

    own_options = {name: value for name, value in options.items() if name in kind.DEFAULT_CONFIG}
    read_any_header_name()
    try:
        return kind(**own_options, kafka_client=impatient)
    except Exception as error:
        cause: BaseException = error
        for client, manager in attempts:
            cause = manager.cause() or error
            client.close()  # else its thread leaks
        if not isinstance(error, KafkaError):
            raise
        raise broker_error(cause, options) from error


@contextlib.contextmanager
def broker_errors(settings: KafkaSettings) -> Iterator[None]:
    """Turns an error of kafka-python inside this block into a `BrokerError`."""
    try:
        yield
    except KafkaError as error:
        raise broker_error(error, settings.client_options()) from error


def partitions_of(consumer: Any, topic: str, settings: KafkaSettings) -> list[TopicPartition]:
    """All partitions of a topic, in order. Raises `BrokerError` where there is none that this user may see."""
    with broker_errors(settings):
        numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        user = settings.security.username
        seen = f"none that the user {user} may see" if user else "no such topic"
        grant = f", or grant {user} its part of docs/security.md" if user else ""
        raise BrokerError(
            f"the topic {topic} at {settings.bootstrap}", seen, f"liveshelf topics create{grant}", retriable=True
        )
    return [TopicPartition(topic, number) for number in sorted(numbers)]


def topic_id(consumer: Any, topic: str) -> str | None:
    """The id that the broker gave a topic when it was created, as the consumer's newest metadata have it. None where the
    broker knows none. kafka-python has no public method for it."""
    found = consumer._cluster.topic_id(topic)
    return None if found is None else str(found)


class _Impatient(KafkaConnectionManager):  # type: ignore[misc]
    """Remembers why connections fail, and does not retry a final failure."""

    def __init__(self, net: Any, **configs: Any) -> None:
        super().__init__(net, **configs)
        self._causes: list[BaseException] = []
        self._refused: dict[Any, BaseException] = {}

    def get_connection(self, node_id: Any, *args: Any, **kwargs: Any) -> Any:
        """As the base; before the first success it raises where every broker has refused for good."""
        if not self.bootstrapped and len(self._refused) >= len(self.cluster.bootstrap_brokers()):
            raise next(iter(self._refused.values()))
        connection = super().get_connection(node_id, *args, **kwargs)
        if not self.bootstrapped:
            connection.init_future.add_errback(lambda cause: self._failed(node_id, cause))
            # A broker of another protocol may greet the client and hang up at its first request.
            connection.close_future.add_errback(lambda cause: self._failed(node_id, cause))
        return connection

    def cause(self) -> BaseException | None:
        """The failure that says most: a final one, else the newest that is no timeout, else the newest."""
        causes = [cause for cause in self._causes if not isinstance(cause, TIMEOUTS)] or self._causes
        return next(iter(self._refused.values()), causes[-1] if causes else None)

    async def _build_transport(self, *args: Any, **kwargs: Any) -> Any:
        """As the base; a transport that reads the last bytes of a peer before it minds that the peer has hung up.

        kafka-python drops bytes that it receives together with the end of the connection.
        """
        transport = await super()._build_transport(*args, **kwargs)
        receive = transport._sock_recv

        def last_bytes_first() -> tuple[bytes, Exception | None]:
            received, error = receive()
            return received, None if received else error  # the next call meets the end again

        transport._sock_recv = last_bytes_first
        return transport

    def _failed(self, node_id: Any, cause: BaseException) -> None:
        self._causes.append(cause)
        if is_final(cause):
            self._refused[node_id] = cause
