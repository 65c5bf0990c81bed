"""The operator's side of its scorer process: starts it, sends it requests, and restarts it when it dies or hangs.

Why a process: the step and the list maker in one interpreter take turns by its lock, which halved the rate and cost a fifth
of the CPU (docs/decisions/0004-scorer-process.md), and a crash in native code took the whole TaskManager along.
"""

import contextlib
import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Protocol, TypeVar

import msgspec

from operators.errors import StackError
from operators.kafka_io.catalogue_rows import GONE
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.contracts import CatalogueItem
from operators.refresh.micro_batcher import NoScorer
from operators.telemetry.timeline import BatchTimes
from pipelines.scoring.links import Link
from pipelines.scoring.peers import set_patience
from pipelines.scoring.wire import (
    DELISTED,
    LARGEST,
    NO_RECORD,
    Batch,
    BatchAnswer,
    Handshake,
    Ready,
    WireList,
    WireRequest,
    answer_of,
    chunks,
    pack,
    ready_of,
)

log = logging.getLogger(__name__)
A = TypeVar("A", BatchAnswer, Ready)
START_SECONDS = 60.0
AGAIN_SECONDS = 5.0  # between two starts that fail


class ScorerLost(NoScorer):
    """The scorer process died, hung or did not start: the users of these requests have no list of the model yet."""


class Rows(Protocol):
    """The current catalogue: an `operators.kafka_io.compacted_table.CompactedTable`."""

    def row(self, key: str) -> bytes | None:
        """The record of an item; None where the catalogue does not hold it."""

    def rows(self) -> Iterable[tuple[str, bytes]]:
        """All records."""


class ScorerProcess:
    """The scorer of one subtask. `changed` may be called from any thread, the other methods one at a time."""

    def __init__(
        self,
        link: Link,
        handshake: Handshake,
        kill_after_s: float,
        on_ready: Callable[[Ready], None],
        is_known: Callable[[str], object] = lambda _: False,
    ) -> None:
        """Starts it, or connects to it where it is shared, and does not wait: `ready` does.

        `on_ready` is called each time that the process can score or refuses the bundle. A process that gives no answer within
        `kill_after_s` is killed; a shared one is left. `is_known`: whether the model has an item of that name; other items
        are not sent. Raises `StackError` where it cannot be started at all; where that may change by itself it is tried
        again.
        """
        self._link = link
        self._handshake = handshake
        self._kill_after_s = kill_after_s
        self._on_ready = on_ready
        self._rows: Rows | None = None
        self._is_known = is_known
        # items, not records: at most as many as the model has
        self._changes: dict[str, None] = {}
        self._absent: dict[str, bytes | None] = {}  # items without a row: a tombstone leaves no other trace
        self._rows_sent = False
        self._failed_at = float("-inf")
        self._closed = False
        self._ending = threading.Lock()
        self._connection: Connection | None = None
        try:
            self._spawn()
        except StackError as error:
            if not error.retriable:
                raise
            self._failed_at = time.monotonic()
            log.error("%s", error)

    def attach_catalogue(self, rows: Rows) -> None:
        """The source of the catalogue: a new process gets all rows, then those of `changed`."""
        self._rows = rows

    def changed(self, key: str, change: CatalogueItem | None) -> None:
        """As `operators.lists.catalogue.Catalogue.changed`, after the row has changed."""
        if not self._is_known(key):
            return
        if change is None or change is GONE:
            self._absent[key] = DELISTED if change is None else NO_RECORD
        else:
            self._absent.pop(key, None)
        self._changes[key] = None

    def ready(self) -> Ready:
        """Waits until the process can score or refuses the bundle; a process that refuses has ended.

        Raises `StackError` where the machine lacks what it needs, `ScorerLost` where it does not start.
        """
        ready = self._answer(ready_of, START_SECONDS)
        if ready.failed:
            self._end()
        if ready.lacks:
            raise StackError(*ready.lacks)
        self._on_ready(ready)
        return ready

    def make(self, requests: Sequence[Request], batch: BatchTimes) -> list[Encoded | Exception]:
        """A list or an error for each request; sets the moments of `batch`. Raises `ScorerLost`."""
        if self._connection is None:
            self._restart()
        self._send_catalogue()
        wire_requests: list[WireRequest] = [
            (r.user_id, r.state, r.event_time, r.event_id, r.traceparent) for r in requests
        ]
        answer = self._ask(Batch(wire_requests, []))
        if answer.failed:
            raise RuntimeError(answer.failed)
        batch.scored, batch.ready = max(batch.started, answer.scored_at), time.time()
        return [_encoded(listed, batch) for listed in answer.lists]

    def close(self) -> None:
        """Ends the process; one that hangs is killed."""
        self._closed = True
        self._end()

    def _spawn(self) -> None:
        end = self._link.connect()
        # without a time-out a process that is stopped would block the operator's thread for ever
        set_patience(end, socket.SO_SNDTIMEO, self._kill_after_s)
        self._socket, self._rows_sent = end, False
        self._connection = Connection(os.dup(end.fileno()))
        if self._closed:  # during the restart
            raise self._lost("was closed", EOFError())
        self._send(pack(self._handshake))

    def _restart(self) -> None:
        """Starts the process and sends it the whole catalogue. A failed start costs seconds: one try in `AGAIN_SECONDS`."""
        if self._closed:
            raise ScorerLost("the operator is closed")
        if time.monotonic() - self._failed_at < AGAIN_SECONDS:
            raise ScorerLost(f"the scorer process did not start; again in {AGAIN_SECONDS:.0f} s")
        try:
            self._spawn()
            if refused := self.ready().refused:
                raise ScorerLost(refused)
            self._send_catalogue()
        except Exception as error:
            self._failed_at = time.monotonic()
            self._end()
            if isinstance(error, StackError):  # not the requests' fault: they may be sent again
                log.error("the scorer process does not start again: %s", error)
                raise ScorerLost(str(error)) from error
            raise
        log.warning("the scorer process was started again")

    def _send_catalogue(self) -> None:
        if not self._rows_sent and self._rows is not None:
            self._changes.clear()  # before the rows are read: a change in between is sent twice
            known_rows = ((key, row) for key, row in self._rows.rows() if self._is_known(key))
            self._send_records(itertools.chain([*self._absent.items()], known_rows))
            self._rows_sent = True
        if self._changes:
            self._send_records(self._new_changes())

    def _new_changes(self) -> Iterator[tuple[str, bytes | None]]:
        assert self._rows is not None
        while self._changes:
            key, _ = self._changes.popitem()
            row = self._rows.row(key)
            yield key, self._absent.get(key) if row is None else row

    def _send_records(self, records: Iterable[tuple[str, bytes | None]]) -> None:
        for chunk in chunks(records):
            self._ask(Batch([], chunk))

    def _ask(self, batch: Batch) -> BatchAnswer:
        self._send(pack(batch))
        return self._answer(answer_of, self._kill_after_s)

    def _answer(self, decode: Callable[[bytes], A], patience_s: float) -> A:
        message = self._receive(patience_s)
        try:
            return decode(message)
        except msgspec.MsgspecError as error:
            raise self._lost("sent what is no answer", error) from error

    def _send(self, message: bytes) -> None:
        try:
            self._open().send_bytes(message)
        except OSError as error:
            raise self._lost("takes nothing", error) from error

    def _receive(self, patience_s: float) -> bytes:
        connection = self._open()
        try:
            set_patience(self._socket, socket.SO_RCVTIMEO, patience_s)
            return connection.recv_bytes(LARGEST)
        except BlockingIOError as error:
            raise self._lost(f"gave no answer for {patience_s:.0f} s", error) from error
        except (OSError, EOFError) as error:
            raise self._lost("died", error) from error

    def _open(self) -> Connection:
        connection = self._connection
        if connection is None:
            raise ScorerLost("the operator is closed" if self._closed else "there is no scorer process")
        return connection

    def _lost(self, how: str, error: BaseException) -> ScorerLost:
        code = self._end(hung=isinstance(error, BlockingIOError))
        ended = "" if code is None else f"; its exit code is {code}"
        lost = ScorerLost(f"the scorer process {self._link.pid} {how} ({error!r}){ended}")
        if not self._closed:
            log.error("%s", lost)
        return lost

    def _end(self, *, hung: bool = False) -> int | None:
        with self._ending:  # `close` may be called while the scorer thread waits for an answer
            if self._connection is None:
                return None
            connection, self._connection = self._connection, None
        with contextlib.suppress(OSError):  # the other end has gone
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits
        connection.close()
        self._socket.close()
        return self._link.leave(hung=hung)


def _encoded(listed: WireList | str, batch: BatchTimes) -> Encoded | Exception:
    if isinstance(listed, str):
        return RuntimeError(listed)
    value, source, arm, event_time, state_digest = listed
    return Encoded(value, source, arm, event_time, batch, state_digest)
