"""The scorer service of a machine: `python -P -m pipelines.scoring.server SOCKET`, for all jobs with that `scorer.socket`.

A supervisor runs it and starts it again. The oldest batch of each connection goes into one micro-batch of its model: a job
with much to score does not keep the others waiting. While the service scores, a timer of the kernel runs and ends it where it
hangs. It ends by itself only when it is told to, or when nobody can connect any more.
"""

import logging
import os
import selectors
import signal
import socket
import sys
from itertools import chain, islice
from pathlib import Path

import msgspec

from operators.errors import StackError
from operators.telemetry.logs import configure
from pipelines.scoring.links import SERVICE
from pipelines.scoring.loaded_models import LoadedModel, LoadedModels
from pipelines.scoring.main import open_service
from pipelines.scoring.message_socket import MessageSocket
from pipelines.scoring.peers import peer_of, set_patience
from pipelines.scoring.service_socket import ServiceSocket, listening
from pipelines.scoring.wire import Batch, BatchAnswer, batch_of, handshake_of, pack, ready_lacking

log = logging.getLogger(__name__)
ROUND_SECONDS = 1.0  # of waiting for a message; then unused models are looked for
PATIENCE_S = 1.0  # for the rest of a message; then its connection is closed


class ScorerServer:
    """All connections of the service."""

    def __init__(self, service_socket: ServiceSocket, models: LoadedModels) -> None:
        self._socket, self._listener, self._models = service_socket, service_socket.listener, models
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(self._listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answers until the socket is removed or replaced: nobody can connect any more."""
        while self._socket.is_in_place():
            self._round()
            self._models.forget_unused()

    def _round(self) -> None:
        """Reads one message of each connection that has one, and answers them. Handshakes last: a model may take long."""
        batches: dict[LoadedModel, dict[MessageSocket, Batch]] = {}
        handshakes: dict[MessageSocket, bytearray] = {}
        for key, _ in self._waiting.select(ROUND_SECONDS):
            if key.fileobj is self._listener:
                self._accept()
                continue
            operator = key.fileobj
            assert isinstance(operator, MessageSocket)  # nothing else is registered beside the listener
            try:
                if (message := operator.receive()) is None:
                    raise TimeoutError(f"the rest of a message did not come within {PATIENCE_S:.0f} s")
                if model := self._models.of(operator):
                    batches.setdefault(model, {})[operator] = batch_of(message)
                else:
                    handshakes[operator] = message
            except (OSError, EOFError):
                self._disconnect(operator)
            except msgspec.MsgspecError as error:
                self._refuse(operator, error)
        for model, of_model in batches.items():
            self._answer(model, of_model)
        for operator, message in handshakes.items():
            self._welcome(operator, message)

    def _welcome(self, operator: MessageSocket, message: bytearray) -> None:
        try:
            ready = self._models.join(operator, handshake_of(message))
        except msgspec.MsgspecError as error:
            self._refuse(operator, error)
            return
        except StackError as error:  # of another release
            log.error("%s", error)
            ready = ready_lacking(error)
        self._send(operator, pack(ready))
        if ready.failed:
            self._disconnect(operator)

    def _answer(self, model: LoadedModel, batches: dict[MessageSocket, Batch]) -> None:
        """Scores all batches as one."""
        assert model.service is not None
        for batch in batches.values():
            model.service.apply_catalogue(batch.catalogue)
            model.service.apply_demand(batch)
            model.service.apply_experiments(batch.experiments)
        asking = {operator: batch.requests for operator, batch in batches.items() if batch.requests}
        if not asking:
            return
        answer = model.make(list(chain.from_iterable(asking.values())))
        lists = iter(answer.lists)
        for operator, requests in asking.items():
            own = list(islice(lists, len(requests)))
            self._send(operator, pack(BatchAnswer(answer.started_at, answer.scored_at, own)))

    def _accept(self) -> None:
        end, _ = self._listener.accept()
        peer = peer_of(end)
        if peer.uid != os.geteuid():
            log.error("process %s of the user with uid %s was refused: lists are personal data", peer.pid, peer.uid)
            end.close()
            return
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            set_patience(end, option, PATIENCE_S)
        self._waiting.register(MessageSocket(end), selectors.EVENT_READ)

    def _send(self, operator: MessageSocket, message: bytes) -> None:
        try:
            if not operator.send(message):
                raise TimeoutError(f"not within {PATIENCE_S:.0f} s")
        except OSError as error:  # gone, or stopped
            log.warning("a subtask took no answer: %r", error)
            self._disconnect(operator)

    def _refuse(self, operator: MessageSocket, error: msgspec.MsgspecError) -> None:
        """A broken subtask must not end the scorer of the others."""
        log.error("a subtask sent what is no message: %r", error)
        self._disconnect(operator)

    def _disconnect(self, operator: MessageSocket) -> None:
        if operator.fileno() >= 0:
            self._waiting.unregister(operator)
            self._models.leave(operator)
            operator.close()


def take_signals() -> None:
    """SIGTERM and SIGINT end the process in order, SIGALRM at once. Raises `StackError` where the kernel would not do that."""
    if os.getpid() == 1:
        raise StackError(
            "a scorer service that the kernel can end when it hangs",
            "it is process 1 of its container, to which the kernel gives no signal",
            "docker run --init, or shareProcessNamespace: true in the pod",
        )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])  # what started it may have another mask


def main() -> None:
    """The path of the socket is the only argument."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python -P -m {SERVICE} SOCKET")
    configure("scorer")
    path = Path(sys.argv[1])
    try:
        take_signals()
        with listening(path) as service_socket:
            log.info("listens at %s", path)
            ScorerServer(service_socket, LoadedModels(open_service, path.parent)).serve()
            raise StackError(f"its socket at {path}", "another file, or none", "nothing: a supervisor starts it again")
    except StackError as error:
        log.critical("%s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
