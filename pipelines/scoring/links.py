"""How an operator connects to a scorer process: its own, or the process that all subtasks of a machine share.

A GPU wants the second: one model and one item table in its memory, and requests of several TaskManagers in one launch.
"""

import contextlib
import hashlib
import os
import select
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Protocol

from operators.configuration.private_folder import private_folder
from operators.errors import StackError
from pipelines.scoring.locks import locked
from pipelines.scoring.peers import peer_of, set_patience
from pipelines.scoring.wire import Handshake, pack

END_SECONDS = 1.0  # for a process to end by itself; then it is killed
KILLED_SECONDS = 5.0  # for the kernel to remove it; a process that waits for a driver in the kernel stays longer
SETTING = "scorer.shared_dir"
SOCKET_NAME = 22  # bytes, with its slash
LONGEST = 107 - SOCKET_NAME  # Linux limit for the path of a Unix socket
LISTEN_SECONDS = 10.0  # until a new process listens: the first thing that it does
LOCK, LOCK_SECONDS = "lock", LISTEN_SECONDS + 5  # one for the folder, so that no file stays for each bundle
CONNECT_SECONDS = 2.0  # of waiting where the backlog is full
BACKLOG = 64


class Link(Protocol):
    """One operator's way to a process."""

    def connect(self) -> socket.socket:
        """Connected to a process that waits for `Handshake`; it is started where it does not run.

        Raises `StackError`, `retriable` where it may work a little later. Never waits for long.
        """

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
        """Starts the process."""
        own_end, process_end = socket.socketpair()
        with process_end:
            # stdin stays open: the kernel kills the process when its last holder is gone, see `main.py`
            self._process = _start(self._python, "pipelines.scoring.main", process_end, subprocess.PIPE)
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
    """The process of all subtasks with the same settings and bundle that see one folder.

    The first operator starts it; it ends some seconds after the last one has left (`pipelines/scoring/shared.py`).
    """

    def __init__(self, python: str, handshake: Handshake, folder: Path) -> None:
        """`folder`: on the machine's own disk, of the user that runs the TaskManagers and of nobody else.

        Raises `StackError` where its name is too long for a socket in it, and as `private_folder` does.
        """
        if len(os.fsencode(folder)) > LONGEST:
            raise StackError(
                f"{SETTING} of {LONGEST} bytes at most", f"{folder}", "name a shorter one, as /run/liveshelf"
            )
        private_folder(folder, SETTING)
        # not the bundle's folder, which is another in each TaskManager; its version is in the journal's name
        identity = pack([handshake.settings, handshake.subtask, Path(handshake.journal).name])
        self._path = folder / f"{hashlib.blake2b(identity, digest_size=8).hexdigest()}.sock"
        self._python = python
        self._pid, self._pidfd = 0, -1

    def connect(self) -> socket.socket:
        """Connects to the process that listens. Under a lock, so that only one operator starts it.

        Raises `StackError` where another user's process listens there, and where it runs in another PID namespace: this
        operator could not kill it. `retriable` where another operator holds the lock, or the backlog is full.
        """
        with locked(self._path.with_name(LOCK), LOCK_SECONDS):
            try:
                return self._connected()
            except (FileNotFoundError, ConnectionRefusedError):
                return self._listen()

    def leave(self, *, hung: bool) -> int | None:
        """Other operators keep the process, unless it hung."""
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
            set_patience(end, socket.SO_SNDTIMEO, CONNECT_SECONDS)
            end.connect(str(self._path))
            self._pid = self._listener_pid(end)
            self._pidfd = _pidfd_of(end, self._pid)
        except BlockingIOError as error:
            end.close()
            raise StackError(
                f"the shared scorer process to take a connection within {CONNECT_SECONDS:.0f} s",
                f"{BACKLOG} wait for it already: it hangs",
                "nothing: an operator that waits for an answer kills it; it is tried again",
                retriable=True,
            ) from error
        except BaseException:
            end.close()
            raise
        return end

    def _listener_pid(self, end: socket.socket) -> int:
        """The pid of the listening process, from the kernel: no other process can be killed by mistake."""
        peer = peer_of(end)
        if peer.uid != os.geteuid():
            raise StackError(
                f"a scorer process of this user (uid {os.geteuid()}) at {self._path}",
                f"process {peer.pid} of the user with uid {peer.uid} listens there",
                f"see who wrote to that folder, and name another in {SETTING}",
            )
        if peer.pid == 0:
            raise StackError(
                "TaskManagers that share a scorer in one PID namespace",
                f"it runs in another one than {os.readlink('/proc/self/ns/pid')}",
                f"share it (shareProcessNamespace, --pid), or set {SETTING} to nothing",
            )
        return peer.pid

    def _listen(self) -> socket.socket:
        """Connects to a new process. That process calls `listen` itself: the kernel names the caller to each client."""
        self._path.unlink(missing_ok=True)
        _remove_unused(self._path.parent)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self._path))
            # a session of its own: what stops this TaskManager must not stop it
            process = _start(self._python, "pipelines.scoring.shared", listener, subprocess.DEVNULL, alone=True)
        threading.Thread(target=process.wait, daemon=True).start()  # it may end at any time: no zombie stays
        until = time.monotonic() + LISTEN_SECONDS
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(ConnectionRefusedError):
                return self._connected()
            time.sleep(0.01)
        came = "it does not" if process.returncode is None else f"it ended with exit code {process.returncode}"
        process.kill()
        raise StackError(
            f"the shared scorer process to listen within {LISTEN_SECONDS:.0f} s",
            came,
            "see what it wrote to the TaskManager's output; it is tried again",
            retriable=True,
        )


def link_of(python: str, handshake: Handshake, folder: str) -> Link:
    """`folder`: `scorer.shared_dir`. Raises `StackError` as `SharedScorer` does."""
    return SharedScorer(python, handshake, Path(folder)) if folder else OwnScorer(python)


def _remove_unused(folder: Path) -> None:
    """Removes sockets without a listener: each bundle has its own, and a killed process leaves its socket. Call it under the
    lock, so that no process is about to listen there."""
    for other in folder.glob("*.sock"):
        with socket.socket(socket.AF_UNIX) as end:
            end.setblocking(False)
            try:
                end.connect(str(other))
            except ConnectionRefusedError:
                other.unlink(missing_ok=True)
            except OSError:  # it listens, and more wait there than it takes
                pass


def _pidfd_of(end: socket.socket, pid: int) -> int:
    """A pidfd of the process that this end is connected to; -1 where it has died."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return -1
    hung_up = select.poll()
    hung_up.register(end, 0)  # POLLHUP is always reported
    if hung_up.poll(0):  # its number may be another's by now
        os.close(pidfd)
        return -1
    return pidfd


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
