"""What the refresh operator tells the operators behind it: the feedback join and the demand operator, where there are any."""

from collections.abc import Sequence

from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.contracts import Event
from operators.refresh.demand_outputs import DemandOutputs
from operators.refresh.feedback_outputs import FeedbackOutputs
from operators.refresh.refresh_records import InputRecord, Output, Turn
from operators.telemetry.own_errors import OwnErrors


class Downstream:
    """The outputs for both operators; none for an operator that the job does not have. An error in counting demand harms no
    list and no state."""

    def __init__(
        self,
        feedback: FeedbackOutputs | None = None,
        demand: DemandOutputs | None = None,
        errors: OwnErrors | None = None,
    ) -> None:
        """`feedback`, `demand`: None where the job has no such operator. `errors`: where errors in counting are reported."""
        self._feedback, self._demand, self._errors = feedback, demand, errors

    def of_event(self, event: Event, before: bytes | None, after: bytes, record: InputRecord) -> list[Output]:
        """An event was applied; `before` and `after`: the user's state. Raises before anything is counted."""
        outputs = [] if self._feedback is None else self._feedback.of_event(event, after, record)
        if self._demand is not None:
            try:
                self._demand.add(event, before, after, record.broker_ms)
            except Exception as error:
                self._report(error)
        return outputs

    def of_erasure(self, record: InputRecord, state: bytes) -> list[Output]:
        """A user was erased; `state`: after it."""
        return [] if self._feedback is None else [self._feedback.of_erasure(record, state)]

    def of_lists(self, lists: Sequence[tuple[Encoded, Request]]) -> list[Output]:
        """Lists went out, each with the request that it answers."""
        return [] if self._feedback is None else [*self._feedback.of_lists(lists)]

    def of_batch(self, turns: Sequence[Turn]) -> list[Output]:
        """The batch is done: its last outputs."""
        outputs = [] if self._feedback is None else self._feedback.of_batch(turns)
        if self._demand is not None:
            try:
                outputs += self._demand.of_batch()
            except Exception as error:
                self._report(error)
        return outputs

    def _report(self, error: Exception) -> None:
        if self._errors is not None:
            self._errors.report("demand", error)
