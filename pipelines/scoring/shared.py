"""The scorer process that several subtasks share: `python -P -m pipelines.scoring.shared FD`, started by `links.SharedScorer`.

What waits at all its connections when it looks is one micro-batch. It has no operator of its own to end with: it ends when
all have left, and while it works a timer of the kernel runs that kills it where it hangs and nobody is left to do that.
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
from pipelines.scoring.wire import LARGEST, Asked, Batch, BatchAnswer, Handshake, Ready, batch_of, begin_of, pack

if TYPE_CHECKING:  # its import takes a second, see `main`
    from pipelines.scoring.main import ScorerService

log = logging.getLogger(__name__)
LONELY_S = 5.0
PATIENCE_S = 1.0  # with an operator that is stopped in the middle of a message; then its connection is closed
OPEN_S = 180.0  # for model and catalogue; an operator that waits kills it much sooner
HANGS = 3  # times `scorer.kill_after_ms`, after which no operator can be there

Open = Callable[[Handshake], "tuple[ScorerService | None, Ready]"]


class ScorerServer:
    """All connections of the process."""

    def __init__(self, listener: socket.socket, opened: Open) -> None:
        """`listener`: listens already; `opened` makes what makes the lists, once."""
        self._listener, self._opened = listener, opened
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(listener, selectors.EVENT_READ)
        self._operators: set[Connection] = set()
        self._begun: set[Connection] = set()  # of these, who have said `Begin`
        self._lists: ScorerService | None = None
        self._ready: Ready | None = None
        self._longest_s = 0.0  # that lists may take

    def serve(self) -> None:
        """Answers until all operators have been gone for `LONELY_S`."""
        left = time.monotonic()
        while self._operators or time.monotonic() - left < LONELY_S:
            if self._operators:
                left = time.monotonic()
            self._round(LONELY_S)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._listener.getsockname())  # from here on nobody comes; who came meanwhile is served
        self._round(0)
        while self._operators:
            self._round(LONELY_S)

    def _round(self, timeout_s: float) -> None:
        """Hears everyone who has something to say, and answers."""
        asked: dict[Connection, Batch] = {}
        for key, _ in self._waiting.select(timeout_s):
            if key.fileobj is self._listener:
                self._welcome()
                continue
            operator = key.fileobj
            assert isinstance(operator, Connection)  # all that is registered beside the listener
            try:
                self._hear(operator, operator.recv_bytes(LARGEST), asked)
            except (OSError, EOFError):
                self._bid_farewell(operator)
            except msgspec.MsgspecError as error:  # one that is broken must not end the others' scorer
                log.error("a subtask sent what is no message: %r", error)
                self._bid_farewell(operator)
        if asked:
            self._answer(asked)

    def _hear(self, operator: Connection, message: bytes, asked: dict[Connection, Batch]) -> None:
        if operator in self._begun:
            asked[operator] = batch_of(message)
        else:
            ready = self._begin(begin_of(message))
            self._begun.add(operator)
            self._say(operator, pack(ready))

    def _begin(self, begin: Handshake) -> Ready:
        """The first operator's word is that of all: the socket's name says that it is the same."""
        if self._ready is None:
            self._longest_s = HANGS * begin.settings["scorer"]["kill_after_ms"] / 1000
            with killed_after(OPEN_S):
                self._lists, self._ready = self._opened(begin)
        return self._ready

    def _make(self, requests: Sequence[Asked]) -> BatchAnswer:
        assert self._lists is not None
        with killed_after(self._longest_s):
            return self._lists.make(requests)

    def _answer(self, asked: dict[Connection, Batch]) -> None:
        """All together; where that fails each operator's alone, so that only the guilty one's has to ask one by one."""
        assert self._lists is not None
        for batch in asked.values():
            self._lists.apply_catalogue(batch.catalogue)
        together = self._make([one for batch in asked.values() for one in batch.requests])
        lists = iter(together.lists)
        for operator, batch in asked.items():
            if together.failed and len(asked) > 1:
                own = self._make(batch.requests)
            else:
                own = BatchAnswer(together.scored_at, list(islice(lists, len(batch.requests))), together.failed)
            self._say(operator, pack(own))

    def _welcome(self) -> None:
        end, _ = self._listener.accept()
        peer = peer_of(end)
        if peer.uid != os.geteuid():
            log.error("process %s of the user with uid %s was sent away: lists are of shoppers", peer.pid, peer.uid)
            end.close()
            return
        for which in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            set_patience(end, which, PATIENCE_S)
        operator = Connection(end.detach())
        self._operators.add(operator)
        self._waiting.register(operator, selectors.EVENT_READ)

    def _say(self, operator: Connection, message: bytes) -> None:
        try:
            operator.send_bytes(message)
        except OSError as error:  # gone, or stopped
            log.warning("a subtask took no answer: %r", error)
            self._bid_farewell(operator)

    def _bid_farewell(self, operator: Connection) -> None:
        self._waiting.unregister(operator)
        self._operators.discard(operator)
        self._begun.discard(operator)
        operator.close()


@contextlib.contextmanager
def killed_after(seconds: float) -> Iterator[None]:
    """The kernel ends this process where the block takes longer, also where native code hangs and holds the interpreter's
    lock: SIGALRM has no handler here, and what it does without one needs no Python. `main` sees to it that it comes."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """The file descriptor of the bound socket is the only argument."""
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        # before all else: the operator that started it waits for this. And here, not there: to all who connect the kernel
        # names the process that called `listen`
        listener.listen(BACKLOG)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the JVM's thread that started it may have another mask
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
        from pipelines.scoring.main import opened

        configure("scorer")
        ScorerServer(listener, opened).serve()


if __name__ == "__main__":
    main()
