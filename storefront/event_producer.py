"""Events of the shop page and of HTTP clients -> Kafka, acknowledged by all replicas before the answer."""

import asyncio
import logging
import threading
import time
from typing import Any

import msgspec
from kafka.errors import KafkaError

from operators.broker_errors import said
from operators.contracts import EVENTS
from operators.decode import EventDecoder
from operators.errors import BrokerError
from operators.kafka_clients import new_producer
from operators.settings import Settings

log = logging.getLogger(__name__)
SEND_SECONDS = 10.0
AGAIN_SECONDS = 5.0  # after a connection that failed; until then each request is refused at once


class EventProducer:
    """Validates events as the job will, so that a shop hears of a bad one at once, and publishes the good."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.kafka
        self._decoder = EventDecoder(settings.events)
        self._producer: Any = None
        self._connecting = threading.Lock()
        self._failed: tuple[float, BrokerError] | None = None

    def _connected(self) -> Any:
        with self._connecting:
            if self._producer is None:
                if self._failed is not None and time.monotonic() < self._failed[0]:
                    raise self._failed[1]
                try:
                    self._producer = new_producer(self._settings, linger_ms=0, max_block_ms=5000)
                except BrokerError as error:
                    self._failed = time.monotonic() + AGAIN_SECONDS, error
                    raise
            return self._producer

    async def publish(self, bodies: list[bytes]) -> int:
        """Publishes JSON events; raises `BadRecord` for the first bad one (nothing is sent) or `BrokerError`."""
        now_ms = int(time.time() * 1000)
        users = [self._decoder.decode("", body, now_ms).user_id for body in bodies]
        try:
            await asyncio.to_thread(self._send, users, bodies)
        except (KafkaError, BrokerError) as error:
            log.warning("events not taken: %s", said(error))  # whoever sent them need not know the broker's users
            raise BrokerError(
                "Kafka to take the event", "no acknowledgement", "try again: event_id makes it safe", retriable=True
            ) from error
        return len(bodies)

    def _send(self, users: list[str], bodies: list[bytes]) -> None:
        sent = [self._connected().send(EVENTS, key=u.encode(), value=b) for u, b in zip(users, bodies, strict=True)]
        for one in sent:
            one.get(SEND_SECONDS)

    def close(self) -> None:
        """Flushes and closes the producer."""
        if self._producer is not None:
            self._producer.close(timeout=5)


def split_batch(body: bytes) -> list[bytes]:
    """A JSON object, an array of objects, or JSON lines -> one body an event."""
    text = body.strip()
    if text.startswith(b"["):
        return [bytes(raw) for raw in msgspec.json.decode(text, type=list[msgspec.Raw])]
    return [line for line in text.splitlines() if line.strip()] if b"}\n" in text else [text]
