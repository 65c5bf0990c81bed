"""The micro-batcher: a thread of it gives all waiting requests to a scorer and does not wait for a batch to fill.

Two micro-batches are in flight: while the scorer works on one it has the next already, so that it never waits for this side
(docs/decisions/0034-two-batches-in-flight.md). Only while requests stream in does a micro-batch gather a handful, for 5 ms at
most. It holds as many requests as the scorer finishes in time (`operators/refresh/batch_pace.py`).

The newest request of a user wins (coalescing) until it is sent; answers come in the order of the requests. The queue is
bounded: `submit` blocks while the scorer works (Flink's back-pressure does the rest), and refuses at once while the scorer
hangs, so that a model never blocks a caller.

If an error ends the scorer thread, the next call logs, counts and replaces it, and so does a call that waits for room.
"""

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

import msgspec

from operators.refresh.batch_pace import GATHER_S, HANDFUL, BatchPace
from operators.refresh.batch_scorer import BatchScorer, ScorerDied
from operators.refresh.refresh_sensors import BatchSensors, NullSensors

Q = TypeVar("Q")
R = TypeVar("R")

log = logging.getLogger(__name__)
IN_FLIGHT = 2  # micro-batches
CLOSE_SECONDS = 5.0
LOOK_SECONDS = 0.02  # between two checks of a caller that waits for room


class Answer(msgspec.Struct, Generic[Q, R], frozen=True, gc=False):
    """The answer to a request: a result, or the exception that the scorer raised for this user alone."""

    user: str
    request: Q
    result: R | Exception


class MicroBatcher(Generic[Q, R]):
    """Batches requests by user for one scorer. `send`, `receive` and `run_once` are for the scorer thread, or for a caller who
    never calls `start`; all other methods are for the caller's thread."""

    def __init__(
        self,
        scorer: BatchScorer[Q, R],
        *,
        max_batch: int,
        max_waiting: int,
        deadline_s: float,
        clock: Callable[[], float],
        sensors: BatchSensors | None = None,
        on_answers: Callable[[], None] = lambda: None,
    ) -> None:
        """`clock` gives seconds, monotonic. A batch that is scored for longer than `deadline_s` hangs. `on_answers` is called
        by the scorer thread when the first answer since the last `drain` is there."""
        self._scorer = scorer
        self._pace = BatchPace(max_batch, deadline_s)
        self._max_waiting = max_waiting
        self._deadline_s = deadline_s
        self.clock = clock
        self.sensors = sensors or NullSensors()
        self._on_answers = on_answers
        self._changed = threading.Condition()
        self._waiting: dict[str, Q] = {}
        self._in_flight: deque[dict[str, Q | None]] = deque()  # oldest first; None: abandoned
        self._started: float | None = None  # when the scorer began the oldest batch in flight
        self._sent_s = -math.inf  # when the newest batch was sent
        self._looks_s = -math.inf  # when the thread looks for requests by itself; it sleeps until then
        self._answers: list[Answer[Q, R]] = []
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
            self._revive()
            for user, request in requests.items():
                if user in self._waiting:
                    self.sensors.on_coalesced()
                elif self._is_full() and not self._finds_room(until):
                    refused.append(user)
                    continue
                self._waiting[user] = request
            self._pace.on_requests(len(requests), self.clock())
            self._call_thread()
        return refused

    def wake(self) -> None:
        """Replaces a scorer thread that has died."""
        with self._changed:
            self._revive()

    def drain(self) -> list[Answer[Q, R]]:
        """The answers since the last call, oldest first."""
        if not self._answers:
            return []
        with self._changed:
            answers, self._answers = self._answers, []
        return answers

    def abandon(self, user: str) -> bool:
        """Forgets a user's requests; an answer that comes later is dropped.

        Returns whether the scorer may hang on a request of theirs: it is in the batch that is scored, for long already.
        """
        with self._changed:
            self._waiting.pop(user, None)
            is_scored = bool(self._in_flight) and self._in_flight[0].get(user) is not None
            for batch in self._in_flight:
                if user in batch:
                    batch[user] = None
            self._answers = [answer for answer in self._answers if answer.user != user]
            self._changed.notify_all()
            return is_scored and self._pace.is_long(self._scored_s())

    def hangs(self) -> bool:
        """Whether the batch that is scored is past the deadline."""
        return self._scored_s() > self._deadline_s

    def _scored_s(self) -> float:
        """For how long the oldest batch in flight is scored; 0 where there is none."""
        started = self._started
        return 0.0 if started is None else self.clock() - started

    @property
    def waiting(self) -> int:
        """Requests that wait to be sent to the scorer."""
        return len(self._waiting)

    def close(self) -> bool:
        """Drops all requests and stops the thread. False if it hangs and was abandoned."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._scorer.interrupt()
        if self._thread is None:
            return True
        self._thread.join(CLOSE_SECONDS)
        return not self._thread.is_alive()

    def run_once(self) -> int:
        """Sends one micro-batch and receives its answer; returns its size."""
        size = self.send()
        while self._in_flight:
            self.receive(math.inf)
        return size

    def send(self) -> int:
        """Sends one micro-batch of waiting requests; returns its size."""
        failure = self._prepare()
        with self._changed:
            requests = self._take()
        try:
            if failure is not None:
                raise failure
            if requests:
                self._scorer.send(requests)
        except Exception as error:
            self._lose(error)
        return len(requests)

    def receive(self, wait_s: float) -> None:
        """Waits for the answer to the oldest batch in flight until it is there, `wait_s` have passed, or requests came."""
        try:
            results = self._scorer.receive(wait_s)
        except Exception as error:
            self._lose(error)
            return
        if results is None:
            return
        with self._changed:
            seconds, batch = self._scored_s(), self._in_flight.popleft()
            self._started = self.clock() if self._in_flight else None
            self._pace.scored(len(batch), seconds)
            tells = self._answer(batch, results)
        if tells:
            self._on_answers()
        self.sensors.on_batch(len(batch), seconds)

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._max_waiting or self._closed

    def _finds_room(self, until_s: float) -> bool:
        """Waits for room, under the lock, and keeps the scorer thread alive meanwhile."""
        while self._is_full():
            self._revive()
            if self._closed or self.hangs() or self.clock() > until_s:
                return False
            self._call_thread()
            self._changed.wait(LOOK_SECONDS)
        return True

    def _call_thread(self) -> None:
        """Wakes the thread, under the lock, if it sleeps beyond the moment at which a batch is due."""
        if self.clock() + self._due_in_s() < self._looks_s:
            self._looks_s = -math.inf
            self._scorer.interrupt()

    def _due_in_s(self) -> float:
        """Seconds until a batch is sent, under the lock; infinite where none waits or the scorer has enough."""
        if not self._waiting or len(self._in_flight) >= IN_FLIGHT:
            return math.inf
        now = self.clock()
        if len(self._waiting) >= min(HANDFUL, self._max_waiting) or not self._pace.streams(now):
            return 0.0
        return max(0.0, self._sent_s + GATHER_S - now)

    def _prepare(self) -> Exception | None:
        """Why there is no scorer. A scorer that takes long to start hangs too: nobody waits for it."""
        if self._in_flight:
            return None
        self._started = self.clock()
        try:
            self._scorer.prepare()
        except Exception as error:
            return error
        finally:
            self._started = None
        return None

    def _take(self) -> list[Q]:
        """A micro-batch of the requests that wait longest, under the lock: it is in flight from now on."""
        batch = {user: self._waiting.pop(user) for user in list(islice(self._waiting, self._pace.room))}
        self._sent_s = self.clock()
        requests = list(batch.values())
        if batch:
            self._started = self._started if self._in_flight else self._sent_s
            self._in_flight.append({**batch})
            self._changed.notify_all()  # there is room
        return requests

    def _answer(self, batch: Mapping[str, Q | None], results: Sequence[R | Exception]) -> bool:
        """Takes the results of a batch, under the lock. Returns whether the caller must be told of them."""
        first = not self._answers
        self._answers += [
            Answer(user, request, result)
            for (user, request), result in zip(batch.items(), results, strict=True)
            if request is not None
        ]
        return first and bool(self._answers) and not self._closed

    def _lose(self, error: Exception) -> None:
        """Answers all batches in flight with an error."""
        self._scorer.forget()
        with self._changed:
            if self.hangs():
                self._pace.scored(len(self._in_flight[0]), self._deadline_s)
            tells = [self._answer(batch, [error] * len(batch)) for batch in self._in_flight]
            self._in_flight.clear()
            self._started = None
        if any(tells):
            self._on_answers()

    def _revive(self) -> None:
        """Replaces a scorer thread that has died, and answers the requests in flight with an error."""
        if self._thread is None or self._thread.is_alive() or self._closed:
            return
        for batch in self._in_flight:
            self._answer(batch, [ScorerDied(user) for user in batch])
        self._in_flight.clear()
        self._started = None
        try:
            self.start()
        except RuntimeError as error:  # the system gives no thread: the next call tries again, promises fall back
            log.error("no scorer thread can be started: %r", error)
        else:
            self.sensors.on_thread_died()

    def _run(self) -> None:
        try:
            self._scorer.forget()  # what the thread before this one has sent
            self._serve()
        except BaseException:  # sensors, no memory, SystemExit thrown through the thread: `_revive` sees to it
            log.exception("an error ended the scorer thread; the next request starts another one")

    def _serve(self) -> None:
        while not self._closed:
            with self._changed:
                due_s = self._due_in_s()
                self._looks_s = self.clock() + due_s if due_s else -math.inf
            if due_s:
                self.receive(due_s)
            else:
                self.send()
