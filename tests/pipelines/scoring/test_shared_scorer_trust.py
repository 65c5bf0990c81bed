"""Whom the shared scorer process and its operators believe: no other user, no nonsense, no process of another number."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from operators.errors import StackError
from pipelines.scoring import links
from pipelines.scoring.links import LOCK
from pipelines.scoring.peers import peer_of
from pipelines.scoring.process import ScorerLost
from pipelines.scoring.shared import PATIENCE_S
from pipelines.scoring.wire import pack
from tests.pipelines.scoring.scorer_requests import asked, items_of, now
from tests.pipelines.scoring.shared_machine import Machine


def test_the_process_that_is_killed_when_it_hangs_is_the_one_that_the_kernel_names(
    machine: Machine, bundle: Path
) -> None:
    """Nothing that lies in the folder can point at another process."""
    first = machine.operator(bundle)
    (socket_file,) = machine.folder.glob("*.sock")
    assert {file.name for file in machine.folder.iterdir()} == {"crashes", LOCK, socket_file.name}
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(socket_file))
        assert peer_of(stranger).pid == first._link.pid != os.getpid()
    assert "pipelines.scoring.shared" in psutil.Process(first._link.pid).cmdline()


def test_one_whose_number_may_be_anothers_by_now_is_not_killed(machine: Machine, bundle: Path) -> None:
    link = machine.link(bundle)
    with link.connect() as end:
        process = psutil.Process(link.pid)
        assert link._pidfd >= 0
        link.leave(hung=True)
        process.wait(5)
        # who has died since is not asked for by its number
        assert links._pidfd_of(end, os.getpid()) == -1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_a_process_of_another_user_is_neither_believed_nor_served(machine: Machine, bundle: Path) -> None:
    """Where the folder was open once and another user's process listens in it, or connects to ours."""
    first = machine.operator(bundle)
    (socket_file,) = machine.folder.glob("*.sock")
    machine.folder.chmod(0o711)
    socket_file.chmod(0o777)
    caller = "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(1))"
    said = subprocess.run([sys.executable, "-c", caller, str(socket_file)], capture_output=True, text=True, timeout=20)
    assert said.stdout.strip() == "b''", "its connection was closed without a word"
    assert items_of(first.make(asked("u1"), now())[0])
    machine.folder.chmod(0o777)
    socket_file.unlink()
    listener = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
        "print('listens', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", listener, str(socket_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as foreign:
        assert foreign.stdout is not None and foreign.stdout.readline() == "listens\n"
        os.chmod(socket_file, 0o777)
        link = first._link
        with pytest.raises(StackError, match="user with uid 65534 listens there"):
            link.connect()
        machine.folder.chmod(0o700)
        os.kill(link.pid, signal.SIGKILL)
        with pytest.raises(ScorerLost):
            first.make(asked("u1"), now())
        with pytest.raises(ScorerLost, match="uid 65534"):
            first.make(asked("u1"), now())
        assert foreign.poll() is None, "nobody is killed for it"
        foreign.communicate("")


def test_a_folder_that_others_may_enter_is_refused(machine: Machine, bundle: Path) -> None:
    machine.folder.chmod(0o755)
    with pytest.raises(StackError, match="chmod 700"):
        machine.link(bundle)


@pytest.mark.parametrize("message", [b"no msgpack", pack(["a", "list"])])
@pytest.mark.parametrize("begins", [True, False])
def test_an_operator_that_sends_nonsense_is_left_and_the_others_are_served(
    machine: Machine, bundle: Path, message: bytes, begins: bool
) -> None:
    operator = machine.operator(bundle)
    with Connection(machine.link(bundle).connect().detach()) as broken:
        if begins:
            broken.send_bytes(pack(machine.begin(bundle)))
            broken.recv_bytes()
        broken.send_bytes(message)
        with pytest.raises(EOFError):
            broken.recv_bytes()
    assert items_of(operator.make(asked("u1"), now())[0])


def test_an_operator_that_announces_two_gigabytes_is_left(machine: Machine, bundle: Path) -> None:
    operator = machine.operator(bundle)
    with machine.link(bundle).connect() as broken:
        begun = time.monotonic()
        broken.sendall(struct.pack("!iQ", -1, 2 << 30))
        assert broken.recv(1) == b""
        assert time.monotonic() - begun < PATIENCE_S / 2, "it did not wait for them"
    assert psutil.Process(operator._link.pid).memory_info().rss < 2**30
    assert items_of(operator.make(asked("u1"), now())[0])
