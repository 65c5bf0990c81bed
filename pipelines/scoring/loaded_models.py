"""The models that the scorer service holds: one for each kind of handshake, loaded once, forgotten when nobody uses it."""

import contextlib
import gc
import hashlib
import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from operators.errors import BundleError, StackError
from operators.lists.request import Request
from operators.model.bundle_files import manifest_sum
from operators.refresh.crash_journal import ENDING
from pipelines.scoring.main import ScorerService
from pipelines.scoring.message_socket import MessageSocket
from pipelines.scoring.wire import BatchAnswer, Handshake, Ready, pack, ready_lacking

log = logging.getLogger(__name__)
LOAD_SECONDS = 180.0  # for model and golden inputs
UNUSED_SECONDS = 10.0  # a restarted job comes back within it, and a subtask that tries again every 5 s
FAILURE_SECONDS = 4.0  # subtasks that try again every 5 s share one attempt

Open = Callable[[Handshake], tuple[ScorerService | None, Ready]]


class LoadedModel:
    """A bundle in memory with its catalogue, and the operators that use it; without a `service` where it was refused."""

    def __init__(self, service: ScorerService | None, ready: Ready) -> None:
        self.service, self.ready = service, ready
        self.operators: set[MessageSocket] = set()
        self.unused_until = 0.0

    def make(self, requests: Sequence[Request]) -> BatchAnswer:
        """As `ScorerService.make`; the process ends where it takes longer than `scorer.kill_after_ms`."""
        assert self.service is not None
        with killed_after(self.service.kill_after_s):
            return self.service.make(requests)


class LoadedModels:
    """All models of the service, by the identity of their handshake."""

    def __init__(self, open_service: Open, folder: Path, clock_s: Callable[[], float] = time.monotonic) -> None:
        """`folder`: of the crash journals; of this user alone."""
        self._open_service, self._folder, self._clock_s = open_service, folder, clock_s
        self._models: dict[str, LoadedModel] = {}
        self._of: dict[MessageSocket, LoadedModel] = {}

    def join(self, operator: MessageSocket, handshake: Handshake) -> Ready:
        """The model of this handshake serves the operator from now on, unless the answer says why it cannot.

        Loads it where no other operator has. No thread does that beside the micro-batches of other models: while one
        thread records kernel launches, CUDA refuses calls of another.
        """
        self.forget_unused()
        identity = identity_of(handshake)
        model = self._models.get(identity) or self._load(identity, handshake)
        if model.service is not None:
            model.operators.add(operator)
            self._of[operator] = model
        return model.ready

    def of(self, operator: MessageSocket) -> LoadedModel | None:
        """The model that serves an operator; None before `join`."""
        return self._of.get(operator)

    def leave(self, operator: MessageSocket) -> None:
        """The operator is gone."""
        if model := self._of.pop(operator, None):
            model.operators.remove(operator)
            model.unused_until = self._clock_s() + UNUSED_SECONDS

    def forget_unused(self) -> None:
        """Frees the models that nobody has used for `UNUSED_SECONDS`, and forgets old failures."""
        now = self._clock_s()
        unused = [key for key, model in self._models.items() if not model.operators and now >= model.unused_until]
        services = [service for key in unused if (service := self._models.pop(key).service)]
        for service in services:
            service.close()
        if services:
            log.info("%s unused models are forgotten", len(services))
            del service, services
            gc.unfreeze()  # each was frozen when it was loaded
            gc.collect()
            gc.freeze()

    def _load(self, identity: str, handshake: Handshake) -> LoadedModel:
        # a journal of this machine: those of the TaskManagers may lie in several folders
        handshake = msgspec.structs.replace(handshake, journal=str(self._folder / f"{identity}{ENDING}"))
        with killed_after(LOAD_SECONDS):
            service, ready = self._try_to_open(handshake)
        model = self._models[identity] = LoadedModel(service, ready)
        model.unused_until = self._clock_s() + (UNUSED_SECONDS if service else FAILURE_SECONDS)
        return model

    def _try_to_open(self, handshake: Handshake) -> tuple[ScorerService | None, Ready]:
        if not Path(handshake.bundle).is_dir():
            came, fix = (
                f"no folder {handshake.bundle}",
                "give it Flink's io.tmp.dirs at the same path, as the same user",
            )
            return None, ready_lacking(StackError("a scorer service that can read the job's bundle", came, fix))
        try:
            return self._open_service(handshake)
        except Exception as error:  # the models of other jobs are served on
            log.exception("a model cannot be loaded")
            came = repr(error)[:300]
            return None, ready_lacking(StackError("a model that loads", came, "see the log of the scorer service"))


def identity_of(handshake: Handshake) -> str:
    """Equal for the subtasks of one job and bundle."""
    try:
        bundle = manifest_sum(Path(handshake.bundle))  # not the folder, which is another in each TaskManager
    except BundleError:  # the load says why
        bundle = ""
    fields = [handshake.settings, handshake.subtask, Path(handshake.journal).name, bundle]
    return hashlib.blake2b(pack(fields), digest_size=8).hexdigest()


@contextlib.contextmanager
def killed_after(seconds: float) -> Iterator[None]:
    """The kernel ends this process where the block takes longer, also where native code hangs and holds the interpreter's
    lock: SIGALRM has no handler here, and its default action needs no Python. `server.main` unblocks it."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
