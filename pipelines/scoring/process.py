"""The operator's side of its scorer process: starts it, sends it batches, and restarts it when it dies or hangs.

Why a process: the step and the list maker in one interpreter take turns by its lock, which halved the rate and cost a fifth
of the CPU (docs/decisions/0004-scorer-process.md), and a crash in native code took the whole TaskManager along.
"""

import logging
import math
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from operators.demand.popularity import Orders
from operators.errors import StackError
from operators.experiments.plan import ExperimentPlan
from operators.exploration.pool import Pool
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.contracts import Model
from operators.refresh.batch_scorer import NoScorer
from operators.telemetry.timeline import BatchTimes
from pipelines.scoring.catalogue_feed import CatalogueFeed
from pipelines.scoring.links import Link
from pipelines.scoring.message_socket import MessageSocket
from pipelines.scoring.orders_feed import OrdersFeed, PoolFeed
from pipelines.scoring.wake_up import WakeUpPipe
from pipelines.scoring.wire import Batch, BatchAnswer, Handshake, Ready, answer_of, pack, ready_of

log = logging.getLogger(__name__)
A = TypeVar("A", BatchAnswer, Ready)
START_SECONDS = 60.0
AGAIN_SECONDS = 5.0  # between two starts that fail


class ScorerLost(NoScorer):
    """The scorer process died, hung or did not start: the users of these requests have no list of the model yet."""


class ScorerProcess:
    """The scorer of one subtask: an `operators.refresh.batch_scorer.BatchScorer`. `interrupt` and `close` may be called from
    any thread, the other methods one at a time."""

    def __init__(
        self,
        link: Link,
        handshake: Handshake,
        kill_after_s: float,
        on_ready: Callable[[Ready], None],
        is_known: Callable[[str], object] = lambda _: False,
        live: Callable[[], Orders | None] = lambda: None,
        model: Model | None = None,
        running: Callable[[], tuple[ExperimentPlan, ...] | None] = lambda: None,
        pool: Callable[[], Pool | None] = lambda: None,
    ) -> None:
        """Starts it, or connects to it where it is shared, and does not wait: `ready` does.

        `on_ready` is called each time that the process can score or refuses the bundle. A process that gives no answer within
        `kill_after_s` is killed; a shared one is left. `is_known` as in `CatalogueFeed`, `live` as in `OrdersFeed`, `pool` as
        in `PoolFeed`; `model`: of the bundle, for its lists; `running`: the experiments of now, the same object as before where
        they are the same.

        Raises `StackError` where it cannot be started at all; where that may change by itself it is tried again.
        """
        self._link = link
        self._handshake = handshake
        self._kill_after_s = kill_after_s
        self._on_ready = on_ready
        self._model = model
        self.catalogue, self._orders, self._pool = CatalogueFeed(is_known), OrdersFeed(live), PoolFeed(pool)
        self._running = running
        self._told: tuple[ExperimentPlan, ...] | None = None
        self._failed_at = -math.inf
        self._closed = False
        self._ending = threading.Lock()
        self._interrupted = WakeUpPipe()
        self._socket: MessageSocket | None = None
        self._unanswered: deque[int] = deque()  # sizes of the batches
        self._began_at = 0.0  # when the process had the oldest of them, monotonic
        self._messages: deque[bytearray] = deque()
        try:
            self._spawn()
        except StackError as error:
            if not error.retriable:
                raise
            self._failed_at = time.monotonic()
            log.error("%s", error)

    def ready(self) -> Ready:
        """Waits until the process can score or refuses the bundle; a process that refuses has ended.

        Raises `StackError` where the machine lacks what it needs, `ScorerLost` where it does not start.
        """
        until = time.monotonic() + START_SECONDS
        while not self._messages:
            self._open()  # none was started, or it ended meanwhile: nobody would answer
            self._exchange(math.inf, until)
        ready = self._decoded(ready_of)
        if ready.failed:
            self._end()
        if ready.lacks:
            raise StackError(*ready.lacks)
        self._on_ready(ready)
        return ready

    def prepare(self) -> None:
        """Starts a process where there is none, and tells it the whole catalogue. A failed start costs seconds: one try in
        `AGAIN_SECONDS`. Raises `ScorerLost`."""
        if self._socket is not None:
            return
        if self._closed:
            raise ScorerLost("the operator is closed")
        if time.monotonic() - self._failed_at < AGAIN_SECONDS:
            raise ScorerLost(f"the scorer process did not start; again in {AGAIN_SECONDS:.0f} s")
        try:
            self._spawn()
            if refused := self.ready().refused:
                raise ScorerLost(refused)
            self._tell_of_catalogue()
        except Exception as error:
            self._failed_at = time.monotonic()
            self._end()
            if isinstance(error, StackError):  # not the requests' fault: they may be sent again
                log.error("the scorer process does not start again: %s", error)
                raise ScorerLost(str(error)) from error
            raise
        log.warning("the scorer process was started again")

    def send(self, requests: Sequence[Request]) -> None:
        """Sends the news of catalogue, orders and experiments, and a batch; the process has it when it is done with the batch before. Raises
        `ScorerLost`."""
        self._tell_of_catalogue()
        news = self._orders.news(), self._new_experiments(), self._pool.news()
        self._put(pack(Batch(list(requests), [], *news)))
        if not self._unanswered:
            self._began_at = time.monotonic()
        self._unanswered.append(len(requests))

    def receive(self, wait_s: float) -> list[Encoded | Exception] | None:
        """The lists or errors of the oldest unanswered batch; None where they are not there after `wait_s`, or after
        `interrupt`. Raises `ScorerLost`: then all unanswered batches are lost."""
        if not self._messages:
            until = self._began_at + self._kill_after_s if self._unanswered else math.inf
            self._exchange(wait_s, until)
        if not self._messages:
            return None
        if not self._unanswered:
            raise self._lost("spoke unasked")
        answer, asked = self._decoded(answer_of), self._unanswered.popleft()
        if len(answer.lists) != asked:
            raise self._lost(f"gave {len(answer.lists)} lists for {asked} requests")
        self._began_at = time.monotonic()  # it has the next batch
        return _results(answer, self._model)

    def interrupt(self) -> None:
        """Ends a `receive` that waits."""
        self._interrupted.write()

    def forget(self) -> None:
        """No batch is answered any more. What answers some batches would answer later ones with them: it ends."""
        if self._unanswered or self._messages:
            self._end()

    def close(self) -> None:
        """Ends the process; one that hangs is killed."""
        self._closed = True
        self._end()
        self._interrupted.close()

    def _spawn(self) -> None:
        end = self._link.connect()
        end.setblocking(False)  # both ends may be writing: neither may wait for the other to read
        self.catalogue.start_over()
        self._orders.start_over()
        self._told = None
        self._pool.start_over()
        self._socket = MessageSocket(end)
        if self._closed:  # during the restart
            raise self._lost("was closed")
        self._put(pack(self._handshake))

    def _tell_of_catalogue(self) -> None:
        for changes in self.catalogue.news():
            self._put(pack(Batch([], changes)))
            until = time.monotonic() + self._kill_after_s
            while self._open().has_unsent:
                self._exchange(math.inf, until)

    def _new_experiments(self) -> tuple[ExperimentPlan, ...] | None:
        """What runs now; None: the process knows."""
        running = self._running()
        if running is self._told:
            return None
        self._told = running
        return running

    def _put(self, message: bytes) -> None:
        try:
            self._open().send(message)
        except OSError as error:
            raise self._lost("takes nothing", error) from error

    def _exchange(self, wait_s: float, until: float) -> None:
        """Waits `wait_s` for a message of the process, for room to send it the rest of one, and for `interrupt`. Gives the
        process up at `until` (monotonic)."""
        left_s = until - time.monotonic()
        waits, wait_s = select.poll(), max(0.0, min(wait_s, left_s))
        waits.register(self._interrupted.reading_end, select.POLLIN)
        if (end := self._socket) is not None:
            waits.register(end, select.POLLIN | (select.POLLOUT if end.has_unsent else 0))
        woken_by = dict(waits.poll(None if math.isinf(wait_s) else math.ceil(1000 * wait_s)))
        if woken_by.pop(self._interrupted.reading_end, None):
            self._interrupted.clear()
        if not woken_by and left_s <= 0:  # this process may have stood still itself: what came meanwhile counts
            raise self._lost("gave no answer in time", hung=True)
        if end is None or not woken_by:
            return
        try:
            end.flush()
            message = end.receive()
        except (OSError, EOFError) as error:
            raise self._lost("died", error) from error
        if message is not None:
            self._messages.append(message)

    def _decoded(self, decode: Callable[[bytearray], A]) -> A:
        """The oldest message."""
        try:
            return decode(self._messages.popleft())
        except msgspec.MsgspecError as error:
            raise self._lost("sent what is no answer", error) from error

    def _open(self) -> MessageSocket:
        if self._socket is None:
            raise ScorerLost("the operator is closed" if self._closed else "there is no scorer process")
        return self._socket

    def _lost(self, how: str, error: Exception | None = None, *, hung: bool = False) -> ScorerLost:
        code = self._end(hung=hung)
        reason = "" if error is None else f" ({error!r})"
        ended = "" if code is None else f"; its exit code is {code}"
        lost = ScorerLost(f"the scorer process {self._link.pid} {how}{reason}{ended}")
        if not self._closed:
            log.error("%s", lost)
        return lost

    def _end(self, *, hung: bool = False) -> int | None:
        with self._ending:  # `close` may be called while the scorer thread waits for an answer
            if self._socket is None:
                return None
            end, self._socket = self._socket, None
            self._unanswered.clear()
            self._messages.clear()
        end.close()
        return self._link.leave(hung=hung)


def _results(answer: BatchAnswer, model: Model | None) -> list[Encoded | Exception]:
    times, results = BatchTimes(answer.started_at, answer.scored_at, time.time()), list[Encoded | Exception]()
    for listed in answer.lists:
        if isinstance(listed, str):
            results.append(RuntimeError(listed))
        else:
            listed.times, listed.model = times, model
            results.append(listed)
    return results
