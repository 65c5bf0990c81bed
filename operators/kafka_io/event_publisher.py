"""Validates events and publishes them, acknowledged by all replicas. Used by the storefront and the Python client."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from kafka.errors import KafkaTimeoutError

from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import broker_errors, new_producer
from operators.records.contracts import EVENTS, Event
from operators.records.event_decode import EventDecoder
from operators.settings import Settings

BLOCK_MS = 5000  # longest wait of `send` for the topic's partitions or for buffer space
RECONNECT_SECONDS = 5.0  # between attempts to connect; until then each call fails at once


class EventPublisher:
    """Decodes events as the job does, so that a shop learns of a bad event at once, and publishes the good ones.

    Any thread may call it. It connects when the first event is published.
    """

    def __init__(self, settings: Settings) -> None:
        self._kafka = settings.kafka
        self._decoder = EventDecoder(settings.events)
        self._producer: Any = None
        self._connecting = threading.Lock()
        self._failed: tuple[float, BrokerError] | None = None

    def checked(self, value: bytes) -> Event:
        """A JSON event as the job will read it. Raises `BadRecord`."""
        return self._decoder.decode("", value, time.time_ns() // 1_000_000)

    def publish(self, events: Sequence[tuple[str, bytes]], timeout_s: float) -> None:
        """Publishes pairs of user_id and JSON event; returns when every one is acknowledged.

        Raises `BrokerError` where that takes longer than `timeout_s`, or where the broker refuses. Some of the events may
        be on the topic then. The job takes an event_id once, so it is safe to publish all of them again.
        """
        deadline = time.monotonic() + timeout_s
        producer = self._connected()
        try:
            with broker_errors(self._kafka):
                futures = [producer.send(EVENTS, key=user.encode(), value=value) for user, value in events]
                for future in futures:
                    future.get(max(0.0, deadline - time.monotonic()))
        except BrokerError as error:
            if not isinstance(error.__cause__, KafkaTimeoutError):
                raise
            raise BrokerError(
                f"{self._kafka.bootstrap} to acknowledge {len(events)} events within {timeout_s:g} s",
                "no answer",
                "publish them again: event_id makes it safe",
                retriable=True,
            ) from error

    def close(self) -> None:
        """Flushes and closes the producer."""
        if self._producer is not None:
            self._producer.close(timeout=5)

    def _connected(self) -> Any:
        with self._connecting:
            if self._producer is None:
                if self._failed is not None and time.monotonic() < self._failed[0]:
                    raise self._failed[1]
                try:
                    self._producer = new_producer(self._kafka, linger_ms=0, max_block_ms=BLOCK_MS)
                except BrokerError as error:
                    self._failed = time.monotonic() + RECONNECT_SECONDS, error
                    raise
            return self._producer
