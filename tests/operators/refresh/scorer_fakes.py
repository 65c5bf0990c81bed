"""A clock that stands and a scorer that notes its batches."""

from collections.abc import Sequence

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
    sizes = {"max_batch": 4, "max_waiting": 6, "deadline_s": 1.0} | options
    return MicroBatcher(score, clock=clock or Clock(), **sizes)


def results(answers) -> dict[str, object]:
    return {answer.user: answer.result for answer in answers}
