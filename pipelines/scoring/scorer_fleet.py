"""Several scorer processes as one scorer: the requests of a user go to the process of the user's bundle.

A line-up is replaced between two micro-batches. What is in flight is answered by the process that has it; a process that the
new line-up lacks is closed when it has answered. So no request is lost, and each list is of one bundle.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.refresh.batch_scorer import BatchScorer, NoScorer
from operators.rollout.routing import Routing

log = logging.getLogger(__name__)
Results = Sequence[Encoded | Exception]


class Scorer(BatchScorer[Request, Encoded], Protocol):
    """A scorer process, or what takes its place."""

    def close(self) -> None:
        """Ends it. For any thread."""


class LineUp(NamedTuple):
    """The processes that serve, the champion's first, and the places of users among them (None: the champion alone). The
    champion's may have other places too."""

    processes: Sequence[Scorer]
    routing: Routing | None = None

    @property
    def champion(self) -> Scorer:
        """Of the users whom no challenger has."""
        return self.processes[0]


@dataclass(eq=False)
class _Part:
    """The requests of a batch that one process has: their numbers in the batch, and the results once they are there."""

    process: Scorer
    numbers: Sequence[int]
    results: Results | None = None


@dataclass(eq=False)
class _Batch:
    requests: Sequence[Request]
    parts: list[_Part] = field(default_factory=list)


class ScorerFleet:
    """An `operators.refresh.batch_scorer.BatchScorer`. `replace`, `interrupt`, `changed` and `close` are for any thread."""

    def __init__(self, line_up: LineUp, on_served: Callable[[Sequence[Request], Results], None]) -> None:
        """`on_served` gets the requests and results of each batch, on the scorer thread."""
        self._line_up, self._next = line_up, list[LineUp]()
        self._in_flight: deque[_Batch] = deque()
        self._waits_at = line_up.champion
        self._on_served = on_served
        self._lock = threading.Lock()  # of `_next`
        self._retired: list[Scorer] = []

    def replace(self, line_up: LineUp) -> None:
        """Serves with these processes, which must be ready, from the next batch on."""
        with self._lock:
            unused = [process for older in self._next for process in older.processes]
            self._next = [line_up]
        self._close_later([process for process in unused if process not in self.processes])

    @property
    def processes(self) -> list[Scorer]:
        """All that are not closed."""
        line_ups = [self._line_up, *self._next]
        return list(dict.fromkeys([*(process for one in line_ups for process in one.processes), *self._retired]))

    def prepare(self) -> None:
        """As `BatchScorer`."""
        self._adopt()
        self._line_up.champion.prepare()

    def send(self, requests: Sequence[Request]) -> None:
        """As `BatchScorer`. Users of a challenger that is away are the champion's for this batch."""
        self._adopt()
        batch, champions = _Batch(requests), list[int]()
        routing = self._line_up.routing
        if routing is None or len(self._line_up.processes) == 1:
            self._line_up.champion.send(requests)
            batch.parts.append(_Part(self._line_up.champion, range(len(requests))))
            self._in_flight.append(batch)
            return
        for place, numbers in routing.split([request.user_id for request in requests]).items():
            process = self._line_up.processes[place]
            if process is self._line_up.champion or not self._sends(process, [requests[number] for number in numbers]):
                champions += numbers
            else:
                batch.parts.append(_Part(process, numbers))
        if champions:
            champions.sort()
            self._line_up.champion.send([requests[number] for number in champions])
            batch.parts.append(_Part(self._line_up.champion, champions))
        self._in_flight.append(batch)

    def receive(self, wait_s: float) -> Results | None:
        """As `BatchScorer`. A process other than the champion's that is lost loses its own users alone."""
        if not self._in_flight:
            self._waits_at = self._line_up.champion
            return self._line_up.champion.receive(wait_s)
        until, batch = time.monotonic() + wait_s, self._in_flight[0]
        for part in batch.parts:
            if part.results is None:
                self._waits_at = part.process
                try:
                    part.results = part.process.receive(max(0.0, until - time.monotonic()))
                except NoScorer as error:
                    if part.process is self._line_up.champion:
                        raise
                    self._lose(part.process, error)
                if part.results is None:
                    return None
        self._in_flight.popleft()
        self._retire()
        results = _in_order(batch)
        self._on_served(batch.requests, results)
        return results

    def interrupt(self) -> None:
        """As `BatchScorer`."""
        self._waits_at.interrupt()

    def forget(self) -> None:
        """As `BatchScorer`."""
        self._in_flight.clear()
        for process in self.processes:
            process.forget()

    def close(self) -> None:
        """Ends all processes."""
        for process in self.processes:
            process.close()

    def _adopt(self) -> None:
        with self._lock:
            if not self._next:
                return
            former, self._line_up, self._next = self._line_up, self._next[0], []
        self._retired += [process for process in former.processes if process not in self._line_up.processes]
        self._retire()

    def _retire(self) -> None:
        """Closes the processes that have nothing left to answer."""
        if self._retired:
            busy = {part.process for batch in self._in_flight for part in batch.parts if part.results is None}
            done = [process for process in self._retired if process not in busy]
            self._retired = [process for process in self._retired if process in busy]
            self._close_later(done)

    def _close_later(self, processes: Sequence[Scorer]) -> None:
        """A process takes up to a second to end: the scorer thread does not wait for it."""
        for process in processes:
            threading.Thread(target=process.close, name="close-scorer", daemon=True).start()

    def _sends(self, process: Scorer, requests: Sequence[Request]) -> bool:
        try:
            process.prepare()
            process.send(requests)
        except NoScorer as error:
            log.warning("a challenger is away, the champion serves its users: %s", error)
            self._lose(process, error)
            return False
        return True

    def _lose(self, process: Scorer, error: NoScorer) -> None:
        """All that the process had in flight has an error."""
        for batch in self._in_flight:
            for part in batch.parts:
                if part.process is process and part.results is None:
                    part.results = [error] * len(part.numbers)


def _in_order(batch: _Batch) -> Results:
    if len(batch.parts) == 1 and batch.parts[0].results is not None:
        return batch.parts[0].results  # of all requests, in order
    results: dict[int, Encoded | Exception] = {}
    for part in batch.parts:
        assert part.results is not None
        results.update(zip(part.numbers, part.results, strict=True))
    return [results[number] for number in range(len(batch.requests))]
