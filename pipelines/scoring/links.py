"""How an operator comes to a scorer process: one of its own, or the one that all subtasks of a machine share.

A GPU wants the second: one model and one table of items in its memory, and what waits in several TaskManagers is scored in one
launch.
"""

import contextlib
import fcntl
import hashlib
import os
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from operators.errors import StackError
from pipelines.scoring.wire import Begin, pack

END_SECONDS, LOST_SECONDS = 5.0, 0.5  # that a process has for its end: when told to, and when it hung
SOCKET_NAME = 22  # bytes, with its slash
LONGEST = 107 - SOCKET_NAME  # what Linux takes for a Unix socket
BACKLOG = 64


class Link(Protocol):
    """One operator's way to a process."""

    def connect(self) -> socket.socket:
        """Connected to a process that waits for `Begin`; it is started where it does not run."""

    def leave(self, *, hung: bool) -> int | None:
        """After the socket was closed. A process that hung is killed. Returns its exit code where it is known."""

    @property
    def pid(self) -> int:
        """Of the process that was connected to last."""


class OwnScorer:
    """A process that ends with its operator."""

    def __init__(self, python: str) -> None:
        """`python`: the interpreter that runs it."""
        self._python = python

    def connect(self) -> socket.socket:
        """Starts one."""
        ours, theirs = socket.socketpair()
        with theirs:
            # stdin is held open, see `main.py`
            self._process = _start(self._python, "pipelines.scoring.main", theirs, subprocess.PIPE)
        return ours

    def leave(self, *, hung: bool) -> int | None:
        """It ends when its connection does; else it is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(LOST_SECONDS if hung else END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return self._process.returncode

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid


class SharedScorer:
    """The process of all subtasks with the same settings and bundle that see one folder.

    Whoever finds none starts it; it ends some seconds after the last one has left (`pipelines/scoring/shared.py`).
    """

    def __init__(self, python: str, begin: Begin, folder: Path) -> None:
        """`folder`: on the machine's own disk, of the user that runs the TaskManagers.

        Raises `StackError` where its name is too long for a socket in it.
        """
        if len(os.fsencode(folder)) > LONGEST:
            raise StackError(
                f"scorer.shared_dir of {LONGEST} bytes at most", f"{folder}", "name a shorter one, as /run/liveshelf"
            )
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StackError("a scorer.shared_dir that can be made", f"{folder}: {error}", "name another") from error
        # not the bundle's folder, which is another in each TaskManager; its version is in the journal's name
        same = pack([begin.settings, begin.subtask, Path(begin.journal).name])
        self._path = folder / f"{hashlib.blake2b(same, digest_size=8).hexdigest()}.sock"
        self._python = python
        self._pid, self._pidfd = 0, -1

    def connect(self) -> socket.socket:
        """To the one that listens. Of several that find none, one starts it.

        Raises `StackError` where it runs in another PID namespace: one that hangs could not be killed.
        """
        with self._path.with_suffix(".pid").open("a+") as note, _locked(note):
            note.seek(0)
            try:
                end, told = self._connected(), note.read().split()
            except (FileNotFoundError, ConnectionRefusedError):
                end, told = self._listen(note)
            if not told:  # who started it died before it could note whom: nobody could kill that one
                end.close()
                end, told = self._listen(note)
            pid, space = told
            if space != _space():
                end.close()
                raise StackError(
                    "TaskManagers that share a scorer in one PID namespace",
                    f"it runs in {space}, this one in {_space()}",
                    "share it (shareProcessNamespace, --pid), or set scorer.shared_dir to nothing",
                )
            self._pid = int(pid)
            with contextlib.suppress(ProcessLookupError):  # died at once: the connection tells
                self._pidfd = os.pidfd_open(self._pid)
        return end

    def leave(self, *, hung: bool) -> int | None:
        """The others keep it, unless it hung."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                if hung:
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.close(self._pidfd)
            self._pidfd = -1
        return None

    @property
    def pid(self) -> int:
        """Of the process that was connected to last."""
        return self._pid

    def _connected(self) -> socket.socket:
        end = socket.socket(socket.AF_UNIX)
        try:
            end.connect(str(self._path))
        except OSError:
            end.close()
            raise
        return end

    def _listen(self, note: IO[str]) -> tuple[socket.socket, list[str]]:
        """Connected to a new process, and what is noted of it. Listens for it, so that none has to wait until it can."""
        note.truncate(0)  # of the process before: it must not be taken for this one
        self._path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self._path))
            listener.listen(BACKLOG)
            # a session of its own: what stops this TaskManager must not stop it
            process = _start(self._python, "pipelines.scoring.shared", listener, subprocess.DEVNULL, alone=True)
        threading.Thread(target=process.wait, daemon=True).start()  # it may end at any time: no zombie stays
        told = [str(process.pid), _space()]
        note.write(" ".join(told))
        note.flush()
        return self._connected(), told


def link_of(python: str, begin: Begin, folder: str) -> Link:
    """`folder`: `scorer.shared_dir`. Raises `StackError` as `SharedScorer` does."""
    return SharedScorer(python, begin, Path(folder)) if folder else OwnScorer(python)


def set_patience(end: socket.socket, which: int, seconds: float) -> None:
    """`which`: SO_RCVTIMEO or SO_SNDTIMEO; past it there is a `BlockingIOError`."""
    end.setsockopt(socket.SOL_SOCKET, which, struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6)))


def _start(
    python: str, module: str, end: socket.socket, stdin: int, *, alone: bool = False
) -> "subprocess.Popen[bytes]":
    code = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        # -P: the working folder must not give its modules for the shipped ones
        [python, "-P", "-m", module, str(end.fileno())],
        stdin=stdin,
        pass_fds=[end.fileno()],
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=alone,
    )


def _space() -> str:
    return os.readlink("/proc/self/ns/pid")


@contextlib.contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
