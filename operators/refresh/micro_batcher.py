"""The micro-batcher: gives all waiting requests to a scorer thread and does not wait for a batch to fill.

Only while requests stream in does it gather a handful, for 5 ms at most. A micro-batch holds as many requests as the scorer
finishes in time (`operators/refresh/pace.py`).

The newest request of a user wins (coalescing). The queue is bounded: `submit` blocks while the scorer works
(Flink's back-pressure does the rest), and refuses at once while the scorer hangs, so that a model never blocks a
caller.

If an error ends the scorer thread, the next call logs, counts and replaces it. So does a call that waits for room: no other
thread would make room.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from operators.refresh.pace import GATHER_S, HANDFUL, BatchPace

Q = TypeVar("Q")
R = TypeVar("R")
Score = Callable[[Sequence[Q]], list[R | Exception]]

log = logging.getLogger(__name__)
CLOSE_SECONDS = 5.0
LOOK_SECONDS = 0.02  # between two checks of a caller that waits for room


class BatchSensors(Protocol):
    """Receives reports of a batcher; see `pipelines.job.metrics` for Prometheus, `NullSensors` for tests."""

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


class ScorerDied(RuntimeError):
    """The scorer thread ended while it scored this user."""


class NoScorer(RuntimeError):
    """No scorer was available. The request is not at fault and may be submitted again."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[Q, R]):
    """The answer to a request: a result, or the exception that the scorer raised for this user alone."""

    user: str
    request: Q
    result: R | Exception


class MicroBatcher(Generic[Q, R]):
    """Batches requests by user for one scorer. All methods but `run_once` are for the caller's thread."""

    def __init__(
        self,
        score: Score[Q, R],
        *,
        max_batch: int,
        max_waiting: int,
        deadline_s: float,
        clock: Callable[[], float],
        sensors: BatchSensors | None = None,
        on_answers: Callable[[], None] = lambda: None,
    ) -> None:
        """`clock` gives seconds, monotonic. A batch in flight for longer than `deadline_s` hangs. `on_answers` is called by
        the scorer thread when the first answer since the last `drain` is there."""
        self._score = score
        self._pace = BatchPace(max_batch, deadline_s)
        self._max_waiting = max_waiting
        self._deadline_s = deadline_s
        self.clock = clock
        self.sensors = sensors or NullSensors()
        self._on_answers = on_answers
        self._changed = threading.Condition()
        self._waiting: dict[str, Q] = {}
        self._in_flight: dict[str, Q] = {}
        self._started: float | None = None
        self._answers: list[Answer[Q, R]] = []
        self._idle = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the scorer thread."""
        thread = threading.Thread(target=self._run, name="liveshelf-scorer", daemon=True)
        thread.start()
        self._thread = thread

    def submit(self, requests: Mapping[str, Q]) -> list[str]:
        """Takes the requests of users, as long as there is room, and returns the users whose request it refused: no room
        appeared before the deadline, the scorer hangs, or the batcher is closed. The caller falls back for them at once."""
        refused: list[str] = []
        with self._changed:
            until = self.clock() + self._deadline_s
            for user, request in requests.items():
                if not self._has_room(user, until):
                    refused.append(user)
                    continue
                if user in self._waiting:
                    self.sensors.on_coalesced()
                self._waiting[user] = request
            streamed = self._streams()
            self._pace.on_requests(len(requests), self.clock())
            if self._idle and (len(self._waiting) >= HANDFUL or not (streamed and self._streams())):
                self._changed.notify_all()
        return refused

    def wake(self) -> None:
        """Wakes the scorer if requests wait."""
        with self._changed:
            self._revive()
            if self._idle and self._waiting and not self._streams():
                self._changed.notify_all()

    def drain(self) -> list[Answer[Q, R]]:
        """The answers since the last call, oldest first."""
        if not self._answers:
            return []
        with self._changed:
            answers, self._answers = self._answers, []
        return answers

    def abandon(self, user: str) -> bool:
        """Forgets a user's requests; an answer that comes later is dropped.

        Returns whether a request was in flight. If its batch hangs, that request may be the cause.
        """
        with self._changed:
            self._waiting.pop(user, None)
            was_in_flight = self._in_flight.pop(user, None) is not None
            self._answers = [answer for answer in self._answers if answer.user != user]
            self._changed.notify_all()
            return was_in_flight

    def hangs(self) -> bool:
        """Whether the batch in flight is past the deadline."""
        started = self._started
        return started is not None and self.clock() - started > self._deadline_s

    @property
    def waiting(self) -> int:
        """Requests that wait for the scorer."""
        return len(self._waiting)

    def close(self) -> bool:
        """Drops waiting requests and stops the thread after its batch. False if the thread hangs and was abandoned."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is None:
            return True
        self._thread.join(CLOSE_SECONDS)
        return not self._thread.is_alive()

    def run_once(self) -> int:
        """Scores one micro-batch of waiting requests on the calling thread; returns its size."""
        with self._changed:
            batch = self._take()
        if not batch:
            return 0
        started = self.clock()
        results = self._score_each(list(batch.values()))
        seconds = self.clock() - started
        with self._changed:
            none_yet = not self._answers
            for (user, request), result in zip(batch.items(), results, strict=True):
                if self._in_flight.get(user) is request:  # else it was abandoned meanwhile
                    self._answers.append(Answer(user, request, result))
            self._in_flight = {}
            self._started = None
            self._pace.scored(len(batch), seconds)
            self._changed.notify_all()
            wake = none_yet and bool(self._answers) and not self._closed
        if wake:
            self._on_answers()
        self.sensors.on_batch(len(batch), seconds)
        return len(batch)

    def _has_room(self, user: str, until_s: float) -> bool:
        """Waits for room, under the lock, and keeps the scorer thread alive meanwhile."""
        while not self._closed:
            self._revive()
            if len(self._waiting) < self._max_waiting or user in self._waiting:
                return True
            if self.hangs() or self.clock() > until_s:
                return False
            if self._idle and self._waiting:
                self._changed.notify_all()  # full of requests that this call has brought
            self._changed.wait(LOOK_SECONDS)
        return False

    def _take(self) -> dict[str, Q]:
        room = self._pace.room
        if len(self._waiting) <= room:
            batch, self._waiting = self._waiting, {}
        else:
            users = list(self._waiting)[:room]
            batch = {user: self._waiting.pop(user) for user in users}
        self._in_flight = dict(batch)
        self._started = self.clock() if batch else None
        return batch

    def _score_each(self, requests: list[Q]) -> list[R | Exception]:
        """The scorer's results. If a batch raises, scores each request alone, so that only the guilty one fails."""
        try:
            results = self._score(requests)
            if len(results) == len(requests):
                return results
            raise ValueError(f"{len(results)} answers to {len(requests)} requests")
        except Exception as error:
            if len(requests) == 1:
                return [error]
            return [self._score_each([request])[0] for request in requests]

    def _revive(self) -> None:
        """Replaces a scorer thread that has died, and answers the requests in flight with an error."""
        if self._thread is None or self._thread.is_alive() or self._closed:
            return
        for user, request in self._in_flight.items():
            self._answers.append(Answer(user, request, ScorerDied(user)))
        self._in_flight, self._started = {}, None
        try:
            self.start()
        except RuntimeError as error:  # the system gives no thread: the next call tries again, promises fall back
            log.error("no scorer thread can be started: %r", error)
        else:
            self.sensors.on_thread_died()

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException:  # sensors, no memory, SystemExit thrown through the thread: `_revive` sees to it
            log.exception("an error ended the scorer thread; the next request starts another one")

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._idle = True
                self._gather()
                self._idle = False
                if self._closed:
                    return
            self.run_once()

    def _gather(self) -> None:
        """Returns when something waits and, in a stream, when a handful does or `GATHER_S` have passed."""
        until = self.clock() + GATHER_S
        while not self._closed:
            if not self._streams():
                if self._waiting:
                    return
                self._changed.wait()  # until `submit` notifies, which it does for the first request of a stream too
            elif len(self._waiting) >= HANDFUL or (self._waiting and self.clock() >= until):
                return
            else:
                self._changed.wait(max(until - self.clock(), GATHER_S / 8))

    def _streams(self) -> bool:
        return self._pace.streams(self.clock())
