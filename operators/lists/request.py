"""What the operator asks the scorer for: a list for one user."""

from dataclasses import dataclass

from operators.telemetry.timeline import Arrival


@dataclass(frozen=True, slots=True)
class Request:
    """One user to be scored: the packed state after the event that asks for it."""

    user_id: str
    state: bytes
    event_time: int
    event_id: str | None = None
    traceparent: str | None = None
    arrival: Arrival | None = None  # None: a promise asks again, not an event
