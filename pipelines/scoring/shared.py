"""The scorer process that several subtasks share: `python -P -m pipelines.scoring.shared FD`, started by `links.SharedScorer`.

What waits at all its connections when it looks is one micro-batch.
"""

import contextlib
import logging
import os
import selectors
import socket
import sys
import time
from itertools import islice
from multiprocessing.connection import Connection

from operators.logs import configure
from pipelines.scoring.links import set_patience
from pipelines.scoring.main import Lists, opened
from pipelines.scoring.wire import Answers, Batch, Begin, Ready, batch_of, begin_of, pack

log = logging.getLogger(__name__)
LONELY_S = 5.0
PATIENCE_S = 1.0  # with an operator that is stopped in the middle of a message; then its connection is closed


class ScorerServer:
    """All connections of the process."""

    def __init__(self, listener: socket.socket) -> None:
        """`listener`: listens already."""
        self._listener = listener
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(listener, selectors.EVENT_READ)
        self._operators: set[Connection] = set()
        self._begun: set[Connection] = set()  # of these, who have said `Begin`
        self._lists: Lists | None = None
        self._ready: Ready | None = None

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
            operator: Connection = key.fileobj
            try:
                message = operator.recv_bytes()
            except (OSError, EOFError):
                self._bid_farewell(operator)
                continue
            if operator in self._begun:
                asked[operator] = batch_of(message)
            else:
                self._begun.add(operator)
                self._say(operator, pack(self._begin(begin_of(message))))
        if asked:
            self._answer(asked)

    def _begin(self, begin: Begin) -> Ready:
        """The first operator's word is that of all: the socket's name says that it is the same."""
        if self._ready is None:
            self._lists, self._ready = opened(begin)
        return self._ready

    def _answer(self, asked: dict[Connection, Batch]) -> None:
        """All together; where that fails each operator's alone, so that only the guilty one's has to ask one by one."""
        assert self._lists is not None
        for batch in asked.values():
            self._lists.follow(batch.catalogue)
        together = self._lists.make([one for batch in asked.values() for one in batch.requests])
        lists = iter(together.lists)
        for operator, batch in asked.items():
            if together.failed and len(asked) > 1:
                own = self._lists.make(batch.requests)
            else:
                own = Answers(together.scored_at, list(islice(lists, len(batch.requests))), together.failed)
            self._say(operator, pack(own))

    def _welcome(self) -> None:
        end, _ = self._listener.accept()
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


def main() -> None:
    """The file descriptor of the listening socket is the only argument."""
    configure("scorer")
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        ScorerServer(listener).serve()


if __name__ == "__main__":
    main()
