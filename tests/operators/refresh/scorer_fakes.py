"""A clock that stands and a scorer that notes its batches."""

from collections.abc import Sequence

from operators.refresh.batch_scorer import LocalScorer
from operators.refresh.micro_batcher import MicroBatcher


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Recorder:
    """A scorer that notes its batches and echoes the requests."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, requests: Sequence[str]) -> list[str | Exception]:
        self.batches.append(list(requests))
        if "poison" in requests:
            raise ValueError("poison")
        return [request.upper() for request in requests]


def submit(waiting: MicroBatcher[str, str], user: str, request: str) -> bool:
    """Whether the batcher took it."""
    return not waiting.submit({user: request})


def batcher(score, clock=None, **options) -> MicroBatcher[str, str]:
    """`score`: a function, or a `Distant` scorer."""
    sizes = {"max_batch": 4, "max_waiting": 6, "deadline_s": 1.0} | options
    scorer = score if isinstance(score, Distant) else LocalScorer(score)
    return MicroBatcher(scorer, clock=clock or Clock(), **sizes)


def results(answers) -> dict[str, object]:
    return {answer.user: answer.result for answer in answers}


class Distant:
    """A scorer elsewhere: the test says when it answers."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.answers: list[list[str | Exception] | Exception] = []
        self.missing: Exception | None = None
        self.forgotten = 0

    def prepare(self) -> None:
        if self.missing:
            raise self.missing

    def send(self, requests: Sequence[str]) -> None:
        self.batches.append(list(requests))

    def receive(self, wait_s: float) -> list[str | Exception] | None:
        if not self.answers:
            return None
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def interrupt(self) -> None: ...

    def forget(self) -> None:
        self.forgotten += 1
