"""The scorer process that several subtasks share: `python -P -m pipelines.scoring.shared FD`, started by `links.SharedScorer`.

The requests that wait at all its connections form one micro-batch. It ends when all operators have left. While it scores, a
timer of the kernel runs and kills it where it hangs and no operator is left to kill it.
"""

import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import msgspec

from operators.telemetry.logs import configure
from pipelines.scoring.links import BACKLOG
from pipelines.scoring.peers import peer_of, set_patience
from pipelines.scoring.wire import (
    LARGEST,
    Batch,
    BatchAnswer,
    Handshake,
    Ready,
    WireRequest,
    batch_of,
    handshake_of,
    pack,
)

if TYPE_CHECKING:  # its import takes a second, see `main`
    from pipelines.scoring.main import ScorerService

log = logging.getLogger(__name__)
LONELY_S = 5.0
PATIENCE_S = 1.0  # for the rest of a message; then its connection is closed
OPEN_S = 180.0  # for model and catalogue; an operator that waits kills it much sooner
HANGS = 3  # times `scorer.kill_after_ms`, after which no operator can be there

Open = Callable[[Handshake], "tuple[ScorerService | None, Ready]"]


class ScorerServer:
    """All connections of the process."""

    def __init__(self, listener: socket.socket, open_service: Open) -> None:
        """`listener`: listens already; `open_service` loads the bundle, once."""
        self._listener, self._open_service = listener, open_service
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(listener, selectors.EVENT_READ)
        self._operators: set[Connection] = set()
        self._welcomed: set[Connection] = set()  # operators whose `Handshake` was read
        self._lists: ScorerService | None = None
        self._ready: Ready | None = None
        self._longest_s = 0.0  # that a micro-batch may take

    def serve(self) -> None:
        """Answers until no operator has been connected for `LONELY_S`."""
        left = time.monotonic()
        while self._operators or time.monotonic() - left < LONELY_S:
            if self._operators:
                left = time.monotonic()
            self._round(LONELY_S)
        with contextlib.suppress(FileNotFoundError):
            # nobody can connect from here on; operators that connected before are served
            os.unlink(self._listener.getsockname())
        self._round(0)
        while self._operators:
            self._round(LONELY_S)

    def _round(self, timeout_s: float) -> None:
        """Reads one message of each connection that has one, and answers them."""
        batches: dict[Connection, Batch] = {}
        for key, _ in self._waiting.select(timeout_s):
            if key.fileobj is self._listener:
                self._accept()
                continue
            operator = key.fileobj
            assert isinstance(operator, Connection)  # nothing else is registered beside the listener
            try:
                self._read(operator, operator.recv_bytes(LARGEST), batches)
            except (OSError, EOFError):
                self._disconnect(operator)
            except msgspec.MsgspecError as error:  # a broken subtask must not end the scorer of the others
                log.error("a subtask sent what is no message: %r", error)
                self._disconnect(operator)
        if batches:
            self._answer(batches)

    def _read(self, operator: Connection, message: bytes, batches: dict[Connection, Batch]) -> None:
        if operator in self._welcomed:
            batches[operator] = batch_of(message)
        else:
            ready = self._welcome(handshake_of(message))
            self._welcomed.add(operator)
            self._send(operator, pack(ready))

    def _welcome(self, handshake: Handshake) -> Ready:
        """Answers with the first operator's settings: all send the same, for the socket's name is a hash of them."""
        if self._ready is None:
            self._longest_s = HANGS * handshake.settings["scorer"]["kill_after_ms"] / 1000
            with killed_after(OPEN_S):
                self._lists, self._ready = self._open_service(handshake)
        return self._ready

    def _make(self, requests: Sequence[WireRequest]) -> BatchAnswer:
        assert self._lists is not None
        with killed_after(self._longest_s):
            return self._lists.make(requests)

    def _answer(self, batches: dict[Connection, Batch]) -> None:
        """Scores all batches as one; where that fails, each operator's alone, so that only the bad one's is split further."""
        assert self._lists is not None
        for batch in batches.values():
            self._lists.apply_catalogue(batch.catalogue)
        answer = self._make([request for batch in batches.values() for request in batch.requests])
        lists = iter(answer.lists)
        for operator, batch in batches.items():
            if answer.failed and len(batches) > 1:
                own = self._make(batch.requests)
            else:
                own = BatchAnswer(answer.scored_at, list(islice(lists, len(batch.requests))), answer.failed)
            self._send(operator, pack(own))

    def _accept(self) -> None:
        end, _ = self._listener.accept()
        peer = peer_of(end)
        if peer.uid != os.geteuid():
            log.error("process %s of the user with uid %s was refused: lists are personal data", peer.pid, peer.uid)
            end.close()
            return
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            set_patience(end, option, PATIENCE_S)
        operator = Connection(end.detach())
        self._operators.add(operator)
        self._waiting.register(operator, selectors.EVENT_READ)

    def _send(self, operator: Connection, message: bytes) -> None:
        try:
            operator.send_bytes(message)
        except OSError as error:  # gone, or stopped
            log.warning("a subtask took no answer: %r", error)
            self._disconnect(operator)

    def _disconnect(self, operator: Connection) -> None:
        self._waiting.unregister(operator)
        self._operators.discard(operator)
        self._welcomed.discard(operator)
        operator.close()


@contextlib.contextmanager
def killed_after(seconds: float) -> Iterator[None]:
    """The kernel ends this process where the block takes longer, also where native code hangs and holds the interpreter's
    lock: SIGALRM has no handler here, and its default action needs no Python. `main` unblocks it."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """The file descriptor of the bound socket is the only argument."""
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        # first of all: the operator that started it waits for this. Here and not in the operator: the kernel names the process
        # that called `listen` to each client
        listener.listen(BACKLOG)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the JVM's thread that started it may have another mask
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
        from pipelines.scoring.main import open_service

        configure("scorer")
        ScorerServer(listener, open_service).serve()


if __name__ == "__main__":
    main()
