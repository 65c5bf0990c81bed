"""The operator's request to the scorer: a list for one user."""

from dataclasses import dataclass

from operators.telemetry.timeline import Arrival


@dataclass(frozen=True, slots=True)
class Request:
    """One user to score, with the packed state after the event that caused the request."""

    user_id: str
    state: bytes
    event_time: int
    event_id: str | None = None
    traceparent: str | None = None
    arrival: Arrival | None = None  # None: a promise asks again, not an event
