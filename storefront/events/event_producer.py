"""Events of the shop page and of HTTP clients -> Kafka, acknowledged by all replicas before the answer."""

import asyncio
import logging
import threading
import time
from typing import Any

from kafka.errors import KafkaError

from operators.errors import BadRecord, BrokerError
from operators.kafka_io.broker_errors import said
from operators.kafka_io.kafka_clients import new_producer
from operators.records.contracts import EVENTS, Event
from operators.records.decode import EventDecoder
from operators.settings import Settings
from storefront.events.event_warnings import EventWarning, warnings_of
from storefront.http.batches import Entry

log = logging.getLogger(__name__)
SEND_SECONDS = 10.0
AGAIN_SECONDS = 5.0  # after a connection that failed; until then each request is refused at once


class BadEvent(Exception):
    """The first bad event of a batch, and why it is."""

    def __init__(self, entry: Entry, error: BadRecord) -> None:
        super().__init__(f"{entry.place}{error}")
        self.entry = entry
        self.reason = error.reason


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

    async def publish(self, entries: list[Entry]) -> list[EventWarning]:
        """Publishes JSON events, and says what of them has no effect. Raises `BadEvent` for the first bad one (nothing is
        sent) or `BrokerError`."""
        events = self._checked(entries)
        warnings = warnings_of(entries, events)
        try:
            await asyncio.to_thread(self._send, [event.user_id for event in events], entries)
        except (KafkaError, BrokerError) as error:
            log.warning("events not taken: %s", said(error))  # whoever sent them need not know the broker's users
            raise BrokerError(
                "Kafka to take the event", "no acknowledgement", "try again: event_id makes it safe"
            ) from error
        return warnings

    def _checked(self, entries: list[Entry]) -> list[Event]:
        """Each as the job will read it."""
        now_ms, events = int(time.time() * 1000), []
        for entry in entries:
            try:
                events.append(self._decoder.decode("", entry.value, now_ms))
            except BadRecord as error:
                raise BadEvent(entry, error) from None
        return events

    def _send(self, users: list[str], entries: list[Entry]) -> None:
        producer, deadline = self._connected(), time.monotonic() + SEND_SECONDS
        sent = [producer.send(EVENTS, key=u.encode(), value=e.value) for u, e in zip(users, entries, strict=True)]
        for one in sent:
            one.get(
                max(0.0, deadline - time.monotonic())
            )  # of the whole batch: a client waits no longer for more events

    def close(self) -> None:
        """Flushes and closes the producer."""
        if self._producer is not None:
            self._producer.close(timeout=5)
