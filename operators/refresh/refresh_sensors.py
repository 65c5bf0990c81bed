"""Receives the operator's reports of records, events, lists and micro-batches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from operators.lists.request import Request
from operators.records.contracts import Event

if TYPE_CHECKING:
    from operators.lists.encoded_list import Encoded


class RefreshSensors(Protocol):
    """See `pipelines.job.job_metrics` for Prometheus."""

    def on_record(self, outcome: str) -> None:
        """A record was read: applied, duplicate, erased, erasure or dead."""

    def on_event(self, event: Event, version: int) -> None:
        """An event was applied; `version` is its user's after it."""

    def on_dead_letter(self, reason: str) -> None:
        """A record was refused."""

    def on_lists(self, lists: Sequence[tuple["Encoded", Request]], emitted_s: float) -> None:
        """Lists go out together at `emitted_s` (epoch s)."""

    def on_fallback(self, cause: str) -> None:
        """The model did not make a list: deadline, refused or failed."""

    def on_rewritten(self) -> None:
        """A list is written again because its transaction was aborted."""

    def on_own_error(self, where: str) -> None:
        """Liveshelf's own code raised: at a record, promise, answer, fallback, submit, sensors or feedback."""


class NullRefreshSensors:
    """Reports nothing."""

    def on_record(self, outcome: str) -> None:
        """Nothing."""

    def on_event(self, event: Event, version: int) -> None:
        """Nothing."""

    def on_dead_letter(self, reason: str) -> None:
        """Nothing."""

    def on_lists(self, lists: Sequence[tuple["Encoded", Request]], emitted_s: float) -> None:
        """Nothing."""

    def on_fallback(self, cause: str) -> None:
        """Nothing."""

    def on_rewritten(self) -> None:
        """Nothing."""

    def on_own_error(self, where: str) -> None:
        """Nothing."""


class BatchSensors(Protocol):
    """Receives reports of a micro-batcher; see `pipelines.job.job_metrics` for Prometheus, `NullSensors` for tests."""

    def on_batch(self, size: int, seconds: float) -> None:
        """A micro-batch was scored."""

    def on_coalesced(self) -> None:
        """A waiting request was replaced by a newer one of the same user."""

    def on_thread_died(self) -> None:
        """An error ended the scorer thread; another one runs in its place."""


class NullSensors:
    """Reports nothing."""

    def on_batch(self, size: int, seconds: float) -> None:
        """Nothing."""

    def on_coalesced(self) -> None:
        """Nothing."""

    def on_thread_died(self) -> None:
        """Nothing."""
