"""How an operator connects to a scorer process: its own, or the service that all jobs of a machine share.

A GPU wants the second: one model and one item table in its memory, and requests of several TaskManagers in one launch.
"""

import contextlib
import os
import socket
import subprocess
from pathlib import Path
from typing import Protocol

from operators.errors import StackError
from pipelines.scoring.peers import peer_of, set_patience

END_SECONDS = 1.0  # for a process to end by itself; then it is killed
KILLED_SECONDS = 5.0  # for the kernel to remove it; a process that waits for a driver in the kernel stays longer
CONNECT_SECONDS = 2.0  # of waiting where the backlog is full
SETTING, SERVICE = "scorer.socket", "pipelines.scoring.server"


class Link(Protocol):
    """One operator's way to a process."""

    def connect(self) -> socket.socket:
        """Connected to a process that waits for `Handshake`. Never waits for long.

        Raises `StackError`, `retriable` where it may work a little later.
        """

    def leave(self, *, hung: bool) -> int | None:
        """After the socket was closed; `hung`: the process gave no answer. Returns its exit code where it is known."""

    @property
    def pid(self) -> int:
        """Of the process that was connected to last."""


class OwnScorer:
    """A process that ends with its operator."""

    def __init__(self, python: str) -> None:
        """`python`: the interpreter that runs it."""
        self._python = python

    def connect(self) -> socket.socket:
        """Starts the process."""
        own_end, process_end = socket.socketpair()
        with process_end:
            self._process = _start(self._python, process_end)
        return own_end

    def leave(self, *, hung: bool) -> int | None:
        """The process ends when its connection closes; else it is killed."""
        if not hung:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
        self._process.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILLED_SECONDS)
        return self._process.returncode

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid


class SharedScorer:
    """The scorer service of this machine (`pipelines/scoring/server.py`). Its supervisor starts it; it watches itself."""

    def __init__(self, path: Path) -> None:
        """`path`: of the service's socket."""
        self._path = path
        self._pid = 0

    def connect(self) -> socket.socket:
        """Connects to the service.

        Raises `StackError` where another user's process listens, or this user may not connect; `retriable` where nobody
        listens yet, or the service takes no more connections.
        """
        end = socket.socket(socket.AF_UNIX)
        try:
            set_patience(end, socket.SO_SNDTIMEO, CONNECT_SECONDS)
            end.connect(str(self._path))
            self._pid = _pid_of_this_user(end, self._path)
        except OSError as error:
            end.close()
            raise _away(self._path, error) from error
        except StackError:
            end.close()
            raise
        return end

    def leave(self, *, hung: bool) -> int | None:
        """Others keep the service; one that hangs is ended by its own timer."""
        return None

    @property
    def pid(self) -> int:
        """Of the service when it was connected to last; 0 where it runs in another PID namespace."""
        return self._pid


def link_of(python: str, path: str) -> Link:
    """`path`: `scorer.socket`."""
    return SharedScorer(Path(path)) if path else OwnScorer(python)


def _pid_of_this_user(end: socket.socket, path: Path) -> int:
    peer = peer_of(end)
    if peer.uid != os.geteuid():
        raise StackError(
            f"a scorer service of this user (uid {os.geteuid()}) at {path}",
            f"process {peer.pid} of the user with uid {peer.uid} listens there",
            f"see who wrote to that folder, and name another in {SETTING}",
        )
    return peer.pid


def _away(path: Path, error: OSError) -> StackError:
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            came, fix = "none does", f"`liveshelf up` here, elsewhere python -P -m {SERVICE} {path} under a supervisor"
        case BlockingIOError():
            came, fix = f"it took no connection within {CONNECT_SECONDS:.0f} s", "restart it"
        case _:
            came, fix = str(error), f"run it and the TaskManagers as one user, or correct {SETTING}"
    if may_come := isinstance(error, (FileNotFoundError, ConnectionRefusedError, BlockingIOError)):
        fix += "; until then fallback lists go out, and it is tried again"
    return StackError(f"a scorer service that listens at {path} ({SETTING})", came, fix, retriable=may_come)


def _start(python: str, end: socket.socket) -> "subprocess.Popen[bytes]":
    code = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        # -P: the working folder must not give its modules for the shipped ones
        [python, "-P", "-m", "pipelines.scoring.main", str(end.fileno())],
        stdin=subprocess.PIPE,  # stays open: the kernel kills the process when its last holder is gone, see `main.py`
        pass_fds=[end.fileno()],
        env=os.environ | {"PYTHONPATH": path},
    )
