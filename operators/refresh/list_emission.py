"""Lists on their way out: the model's, or a fallback list, each counted."""

from collections.abc import Callable, Sequence
from typing import Protocol

from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.refresh.downstream import Downstream
from operators.refresh.micro_batcher import Answer
from operators.refresh.refresh_outputs import list_of
from operators.refresh.refresh_records import Output
from operators.refresh.refresh_sensors import RefreshSensors
from operators.telemetry.own_errors import OwnErrors


class FallbackLists(Protocol):
    """Makes lists without the model: an `operators.lists.list_maker.ListMaker`."""

    def encoded_fallback(self, request: Request, *, with_digest: bool = False) -> Encoded:
        """A list for the request."""


class ListEmission:
    """Makes fallback lists and emits."""

    def __init__(
        self,
        lists: FallbackLists,
        sensors: RefreshSensors,
        errors: OwnErrors,
        clock_s: Callable[[], float],
        *,
        with_digest: bool,
        downstream: Downstream,
    ) -> None:
        """`clock_s` gives epoch s; `with_digest`: lists carry a fingerprint of their state."""
        self._lists, self._sensors, self._errors, self._clock_s = lists, sensors, errors, clock_s
        self._with_digest, self._downstream = with_digest, downstream

    def fallback(self, request: Request, cause: str) -> Encoded:
        """The fallback list; `cause`: deadline, refused or failed."""
        self._sensors.on_fallback(cause)
        return self._lists.encoded_fallback(request, with_digest=self._with_digest)

    def of(self, answer: Answer[Request, Encoded]) -> Encoded | None:
        """The model's list, else a fallback list; None if that failed too."""
        if not isinstance(answer.result, Exception):
            return answer.result
        try:
            return self.fallback(answer.request, "failed")
        except Exception as error:
            self._errors.report("fallback", error)
            return None

    def emit(self, lists: Sequence[tuple[Encoded, Request]], outputs: list[Output]) -> None:
        """Adds lists to the outputs."""
        outputs += [list_of(encoded_list, request) for encoded_list, request in lists]
        try:
            outputs += self._downstream.of_lists(lists)
        except Exception as error:  # the lists are out: their impressions make examples of unknown lists
            self._errors.report("feedback", error)
        try:
            self._sensors.on_lists(lists, self._clock_s())
        except Exception as error:  # the lists are out: an error in a metric must not lose them
            self._errors.report("sensors", error)
