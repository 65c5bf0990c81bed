"""Events of the shop page and of HTTP clients -> Kafka, acknowledged by all replicas before the answer."""

import asyncio
import time
from typing import Any

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from operators.contracts import EVENTS
from operators.decode import EventDecoder
from operators.errors import BrokerError
from operators.settings import Settings

SEND_SECONDS = 10.0


class EventProducer:
    """Validates events as the job will, so that a shop hears of a bad one at once, and publishes the good."""

    def __init__(self, settings: Settings) -> None:
        self._options = settings.kafka.producer_options() | {"linger_ms": 0, "max_block_ms": 5000}
        self._decoder = EventDecoder(settings.events)
        self._producer: Any = None

    def _connected(self) -> Any:
        if self._producer is None:
            self._producer = KafkaProducer(**self._options)
        return self._producer

    async def publish(self, bodies: list[bytes]) -> int:
        """Publishes JSON events; raises `BadRecord` for the first bad one (nothing is sent) or `BrokerError`."""
        now_ms = int(time.time() * 1000)
        users = [self._decoder.decode("", body, now_ms).user_id for body in bodies]
        try:
            await asyncio.to_thread(self._send, users, bodies)
        except KafkaError as error:
            raise BrokerError(
                "Kafka to take the event", repr(error), "try again: event_id makes it safe", retriable=True
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
