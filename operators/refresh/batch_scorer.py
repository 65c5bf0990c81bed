"""What a micro-batcher needs of a scorer, and the scorer that is a function in this process."""

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

Q = TypeVar("Q")
R = TypeVar("R")
Score = Callable[[Sequence[Q]], list[R | Exception]]
Asked = TypeVar("Asked", contravariant=True)
Given = TypeVar("Given", covariant=True)


class NoScorer(RuntimeError):
    """No scorer was available. The request is not at fault and may be submitted again."""


class ScorerDied(RuntimeError):
    """The scorer thread ended while it scored this user."""


class BatchScorer(Protocol[Asked, Given]):
    """Answers batches in the order in which they were sent. All calls but `interrupt` come from one thread at a time.

    After an error of `receive` no batch that was sent before is answered any more; nor after `NoScorer` of `send`.
    """

    def prepare(self) -> None:
        """Called before a batch is sent while none is unanswered; starts what is missing. Raises `NoScorer`."""

    def send(self, requests: Sequence[Asked]) -> None:
        """Hands over a batch and does not wait for its answer."""

    def receive(self, wait_s: float) -> Sequence[Given | Exception] | None:
        """The results of the oldest batch without an answer: one for each request, in order.

        None where there is no answer within `wait_s`, or `interrupt` was called.
        """

    def interrupt(self) -> None:
        """Ends a `receive` that waits, or the next one. For any thread."""

    def forget(self) -> None:
        """The batches that were sent are answered no more."""


class LocalScorer(Generic[Q, R]):
    """Calls a function: where no model serves, and in tests and benchmarks."""

    def __init__(self, score: Score[Q, R]) -> None:
        self.score = score
        self._sent: deque[Sequence[Q]] = deque()
        self._interrupted = threading.Event()

    def prepare(self) -> None:
        """Nothing is missing."""

    def send(self, requests: Sequence[Q]) -> None:
        """As `BatchScorer.send`."""
        self._sent.append(requests)

    def receive(self, wait_s: float) -> list[R | Exception] | None:
        """As `BatchScorer.receive`; the function is called here."""
        if self._sent:
            return score_each(self._sent.popleft(), self.score)
        self._interrupted.wait(None if math.isinf(wait_s) else wait_s)
        self._interrupted.clear()
        return None

    def interrupt(self) -> None:
        """As `BatchScorer.interrupt`."""
        self._interrupted.set()

    def forget(self) -> None:
        """As `BatchScorer.forget`."""
        self._sent.clear()


def score_each(requests: Sequence[Q], score: Score[Q, R]) -> list[R | Exception]:
    """The results of `score`. If a batch raises, scores each request alone, so that only the guilty one fails."""
    try:
        results = score(requests)
        if len(results) == len(requests):
            return results
        raise ValueError(f"{len(results)} answers to {len(requests)} requests")
    except Exception as error:
        if len(requests) == 1:
            return [error]
        return [score_each([request], score)[0] for request in requests]
