"""What one record does to its user: pure but for the counters."""

from collections.abc import Callable
from dataclasses import dataclass, field

from operators.configuration.shop_settings import EventSettings
from operators.lists.request import Request
from operators.records.contracts import ERASURES
from operators.records.event_decode import EventDecoder, decode_erasure
from operators.refresh.downstream import Downstream
from operators.refresh.refresh_outputs import receipt, tombstone
from operators.refresh.refresh_records import InputRecord, Output
from operators.refresh.refresh_sensors import RefreshSensors
from operators.shopper.state_layout import migrate
from operators.shopper.user_state import erase, last_event_ms, list_is_owed, step
from operators.telemetry.timeline import Arrival


@dataclass(slots=True)
class Effect:
    """The user's new state (None: as it was), the request for a list (None: no list is due), and what goes out.

    `withdraws`: what the user was owed before is not due any more.
    """

    state: bytes | None = None
    request: Request | None = None
    outputs: list[Output] = field(default_factory=list)
    withdraws: bool = False


class RecordEffects:
    """Applies events and erasures."""

    def __init__(
        self,
        decoder: EventDecoder,
        events: EventSettings,
        clock_s: Callable[[], float],
        sensors: RefreshSensors,
        time_to_live_ms: float,
        downstream: Downstream,
    ) -> None:
        """`clock_s` gives epoch s; `time_to_live_ms` as in `step`."""
        self._decode = decoder.decode
        self._session_gap_ms, self._rating_middle = events.session_gap_ms, events.rating_middle
        self._clock_s, self._sensors = clock_s, sensors
        self._time_to_live_ms, self._downstream = time_to_live_ms, downstream

    def of(self, record: InputRecord, state: bytes | None, read_s: float) -> Effect:
        """`state`: the user's; `read_s`: when the record was read, epoch s. Raises `BadRecord`."""
        return self._erase(record, state) if record.topic == ERASURES else self._apply(record, state, read_s)

    def _apply(self, record: InputRecord, state: bytes | None, read_s: float) -> Effect:
        event = self._decode(record.user if record.keyed else "", record.value, record.broker_ms)
        record.refuse_unless_of(event.user_id)
        after = step(state, event, self._session_gap_ms, record.broker_ms, self._time_to_live_ms, self._rating_middle)
        self._sensors.on_record(after.outcome)
        if after.outcome != "applied":
            return Effect()
        self._sensors.on_event(event, after.version)
        outputs = self._downstream.of_event(event, state, after.state, record)
        if not after.refresh:
            return Effect(after.state, outputs=outputs)
        arrival = Arrival(record.broker_ms / 1000, read_s, self._clock_s())
        request = Request(event.user_id, after.state, int(event.event_time), event.event_id, event.traceparent, arrival)
        return Effect(after.state, request, outputs)

    def _erase(self, record: InputRecord, state: bytes | None) -> Effect:
        """Forgets the user up to the broker's time of the record; a request if later events stay."""
        if record.value is None:  # a tombstone withdraws the request; a finished erasure stays
            self._sensors.on_record("erasure")
            return Effect()
        erasure = decode_erasure(record.user, record.value)
        record.refuse_unless_of(erasure.user_id)
        after = erase(state, record.broker_ms)
        outputs = [receipt(record, erasure.erasure_id, state, int(self._clock_s() * 1000))]
        self._sensors.on_record("erasure")
        if state is not None and after == migrate(state):  # a repeated erasure: the list is from after it
            return Effect(outputs=outputs)
        outputs.append(tombstone(record.user, after))
        outputs += self._downstream.of_erasure(record, after)
        # events since the request stay and cause a list
        request = Request(record.user, after, last_event_ms(after)) if list_is_owed(after) else None
        return Effect(after, request, outputs, withdraws=True)
