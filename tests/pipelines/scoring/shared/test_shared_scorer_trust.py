"""Whom the scorer service and its operators believe: no other user, no other release, no nonsense."""

import os
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from operators.errors import StackError
from pipelines.scoring.peers import peer_of
from pipelines.scoring.process import ScorerProcess
from pipelines.scoring.server import PATIENCE_S
from pipelines.scoring.wire import PROTOCOL, Handshake, pack
from tests.pipelines.scoring.scorer_requests import ask, asked, items_of
from tests.pipelines.scoring.shared.shared_machine import Machine

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


def test_the_socket_is_this_users_alone_and_the_kernel_names_who_listens(machine: Machine) -> None:
    status = machine.path.lstat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, os.geteuid())
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(machine.path))
        assert peer_of(stranger).pid == machine.service.pid


@only_root
def test_a_process_of_another_user_is_not_served(machine: Machine, bundle: Path) -> None:
    """Where the folder was open once and another user's process connects."""
    operator = machine.operator(bundle)
    machine.folder.chmod(0o711)
    machine.path.chmod(0o777)
    caller = "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(1))"
    answer = subprocess.run(
        [sys.executable, "-c", caller, str(machine.path)], capture_output=True, text=True, timeout=20
    )
    assert answer.stdout.strip() == "b''", "its connection was closed without a word"
    assert items_of(ask(operator, asked("u1"))[0])


@contextmanager
def foreign_listener(machine: Machine) -> Iterator["subprocess.Popen[str]"]:
    machine.folder.chmod(0o777)
    listener = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
        "print('listens', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", listener, str(machine.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as foreign:
        assert foreign.stdout is not None and foreign.stdout.readline() == "listens\n"
        machine.path.chmod(0o777)
        machine.folder.chmod(0o700)
        yield foreign
        assert foreign.poll() is None, "nobody is killed for it"
        foreign.communicate("")


@only_root
def test_a_service_of_another_user_is_not_believed(empty_machine: Machine, bundle: Path) -> None:
    with foreign_listener(empty_machine):
        with pytest.raises(StackError, match="user with uid 65534 listens there") as refused:
            empty_machine.unready(bundle)
        assert not refused.value.retriable
        second = empty_machine.launch()
        assert second.wait(120) == 1
        assert "another process listens there" in empty_machine.log


def test_a_job_of_another_release_is_told_so(machine: Machine, bundle: Path) -> None:
    operator = machine.operator(bundle)

    class Newer(msgspec.Struct, array_like=True, tag=PROTOCOL + 1):
        new_field: list[int]

    with Connection(machine.link().connect().detach()) as newer:
        newer.send_bytes(pack(Newer([1])))
        expected, came, fix = msgspec.msgpack.decode(newer.recv_bytes())[3]
        assert "one release" in expected
        assert came == f"a job with protocol {PROTOCOL + 1} and a service with protocol {PROTOCOL}"
        assert "service" in fix
        with pytest.raises(EOFError):
            newer.recv_bytes()
    assert items_of(ask(operator, asked("u1"))[0])


def refusal(machine: Machine, begin: Handshake) -> str:
    """What the subtask says that sends this handshake."""
    operator = ScorerProcess(machine.link(), begin, 5, lambda _: None)
    machine.operators.append(operator)
    with pytest.raises(StackError) as refused:
        operator.ready()
    return str(refused.value)


def test_settings_of_another_release_are_named_without_their_values(machine: Machine, bundle: Path) -> None:
    begin = machine.begin(bundle)
    begin.settings["kafka"] |= {"new_key": "its secret"}
    assert "new_key" in (text := refusal(machine, begin))
    assert "secret" not in text
    del begin.settings["lists"]
    begin.settings["kafka"].pop("new_key")
    assert "lists" in refusal(machine, begin)
    assert "secret" not in machine.log


def test_a_bundle_that_the_service_cannot_see_is_not_blamed(machine: Machine, tmp_path: Path) -> None:
    """A sidecar without the TaskManager's volume: the bundle is good."""
    assert "io.tmp.dirs at the same path" in refusal(machine, machine.begin(tmp_path / "elsewhere"))


@pytest.mark.parametrize("message", [b"no msgpack", pack(["a", "list"]), pack([PROTOCOL, "no settings"])])
@pytest.mark.parametrize("begins", [True, False])
def test_an_operator_that_sends_nonsense_is_left_and_the_others_are_served(
    machine: Machine, bundle: Path, message: bytes, begins: bool
) -> None:
    operator = machine.operator(bundle)
    with Connection(machine.link().connect().detach()) as broken:
        if begins:
            broken.send_bytes(pack(machine.begin(bundle)))
            broken.recv_bytes()
        broken.send_bytes(message)
        with pytest.raises(EOFError):
            broken.recv_bytes()
    assert items_of(ask(operator, asked("u1"))[0])


def test_an_operator_that_announces_two_gigabytes_is_left(machine: Machine, bundle: Path) -> None:
    operator = machine.operator(bundle)
    with machine.link().connect() as broken:
        begun = time.monotonic()
        broken.sendall(struct.pack("!iQ", -1, 2 << 30))
        with suppress(ConnectionResetError):  # what it did not read is lost
            assert broken.recv(1) == b""
        assert time.monotonic() - begun < PATIENCE_S / 2, "it did not wait for them"
    assert machine.service.memory_info().rss < 2**30
    assert items_of(ask(operator, asked("u1"))[0])
