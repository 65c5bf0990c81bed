"""The operator's request to the scorer: a list for one user."""

import msgspec

from operators.telemetry.timeline import Arrival


class Request(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One user to score, with the packed state after the event that caused the request. It crosses to the scorer process as
    it is."""

    user_id: str
    state: bytes
    event_time: int
    event_id: str | None = None
    traceparent: str | None = None
    arrival: Arrival | None = None  # None: a promise asks again, not an event

    def with_state(self, state: bytes) -> "Request":
        """The same request for a newer state of its user."""
        return msgspec.structs.replace(self, state=state)
