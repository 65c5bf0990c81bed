"""Events of the shop page and of HTTP clients -> Kafka, acknowledged by all replicas before the answer."""

import asyncio
import logging

from operators.errors import BadRecord, BrokerError
from operators.kafka_io.event_publisher import EventPublisher
from operators.records.contracts import Event
from operators.settings import Settings
from storefront.events.event_warnings import EventWarning, warnings_of
from storefront.http.batches import Entry

log = logging.getLogger(__name__)
SEND_SECONDS = 10.0  # limit for the whole batch, whatever its size


class BadEvent(Exception):
    """The first bad event of a batch, with its reason."""

    def __init__(self, entry: Entry, error: BadRecord) -> None:
        super().__init__(f"{entry.position}{error}")
        self.entry = entry
        self.reason = error.reason


class EventProducer:
    """Publishes the events of a request, all or none."""

    def __init__(self, settings: Settings) -> None:
        self._publisher = EventPublisher(settings)

    @property
    def publisher(self) -> EventPublisher:
        """What publishes, for events of the storefront itself."""
        return self._publisher

    async def publish(self, entries: list[Entry]) -> list[EventWarning]:
        """Publishes JSON events and returns warnings for fields without effect. Raises `BadEvent` for the first bad event
        (nothing is sent) or `BrokerError`."""
        events = self._checked(entries)
        warnings = warnings_of(entries, events)
        records = [(event.user_id, entry.value) for event, entry in zip(events, entries, strict=True)]
        try:
            await asyncio.to_thread(self._publisher.publish, records, SEND_SECONDS)
        except BrokerError as error:
            log.warning("events not taken: %s", error)  # the client must not see the broker's users
            raise BrokerError(
                "Kafka to take the event", "no acknowledgement", "try again: event_id makes it safe"
            ) from error
        return warnings

    def close(self) -> None:
        """Flushes and closes the producer."""
        self._publisher.close()

    def _checked(self, entries: list[Entry]) -> list[Event]:
        events = []
        for entry in entries:
            try:
                events.append(self._publisher.checked(entry.value))
            except BadRecord as error:
                raise BadEvent(entry, error) from None
        return events
