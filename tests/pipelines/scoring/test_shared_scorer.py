"""The scorer process that several subtasks share: one for all, what waits scored at once, and nobody's trouble is another's."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from operators.errors import StackError
from operators.settings import ScorerSettings, Settings
from pipelines.scoring import links
from pipelines.scoring.links import LOCK, SharedScorer, link_of
from pipelines.scoring.peers import peer_of
from pipelines.scoring.process import ScorerLost, ScorerProcess
from pipelines.scoring.shared import HANGS, LONELY_S, PATIENCE_S
from pipelines.scoring.wire import Begin, pack
from tests.builders import write_bundle, write_faulty_bundle
from tests.pipelines.scoring.test_scorer_process import (
    HOLDS,
    asked,
    eight_items,
    items_of,
    known,
    now,
    operator_process,
    write_holding_python,
)
from tests.stack.topics import eventually

Make = Callable[[], object]


@dataclass
class Machine:
    """A folder for the socket, and the operators of it."""

    folder: Path
    operators: list[ScorerProcess] = field(default_factory=list)

    def begin(self, bundle: Path) -> Begin:
        """What all subtasks say first."""
        scorer = ScorerSettings(provider="cpu", metrics_port=19450, shared_dir=str(self.folder))
        settings = Settings.model_construct(scorer=scorer).model_dump()
        return Begin(settings, str(bundle), "shared", str(self.folder / "crashes"))

    def link(self, bundle: Path) -> SharedScorer:
        """The way of a subtask."""
        return SharedScorer(sys.executable, self.begin(bundle), self.folder)

    def operator(self, bundle: Path, kill_after_s: float = 5) -> ScorerProcess:
        """Another subtask; ready."""
        operator = ScorerProcess(self.link(bundle), self.begin(bundle), kill_after_s, lambda _: None, known)
        self.operators.append(operator)
        assert operator.ready().provider == "CPUExecutionProvider"
        return operator

    @property
    def pids(self) -> set[int]:
        """Of the processes that the operators are connected to."""
        return {operator._link.pid for operator in self.operators}


@pytest.fixture
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="ls", dir="/tmp"))  # a socket's name must be short
    made = Machine(folder)
    yield made
    for operator in made.operators:
        operator.close()
    for pid in made.pids:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("known"))


def while_stopped(pid: int, *makes: Make) -> list[object]:
    """What each says, or raises, when all have asked before the process can look."""
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(len(makes)) as threads:
        futures = [threads.submit(make) for make in makes]
        time.sleep(0.2)
        os.kill(pid, signal.SIGCONT)
        return [future.exception() or future.result() for future in futures]


def test_operators_that_start_at_once_share_one_and_it_ends_after_the_last(machine: Machine, bundle: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: machine.operator(bundle), range(4)))
    (pid,) = machine.pids
    lists = [items_of(operator.make(asked("u1"), now())[0]) for operator in made]
    assert lists == [lists[0]] * 4
    for operator in made[1:]:
        operator.close()
    time.sleep(LONELY_S + 1)
    assert items_of(made[0].make(asked("u1"), now())[0]) == lists[0], "it ended while one was there"
    made[0].close()
    psutil.Process(pid).wait(LONELY_S + 5)
    assert not list(machine.folder.glob("*.sock"))


def test_what_waits_in_all_of_them_is_one_micro_batch(machine: Machine, bundle: Path) -> None:
    first, second = machine.operator(bundle), machine.operator(bundle)
    batches = now(), now()
    ours, theirs = while_stopped(
        first._link.pid,
        lambda: first.make(asked("u1", "u2"), batches[0]),
        lambda: second.make(asked("u3", item="i5"), batches[1]),
    )
    assert (len(ours), len(theirs)) == (2, 1)
    assert batches[0].scored == batches[1].scored
    assert items_of(theirs[0]) == items_of(second.make(asked("u3", item="i5"), now())[0])
    assert items_of(ours[1]) == items_of(first.make(asked("u2"), now())[0]) != items_of(theirs[0])


def test_one_batch_that_raises_fails_alone(machine: Machine, tmp_path: Path) -> None:
    faulty = write_faulty_bundle(tmp_path / "faulty")
    first, second = machine.operator(faulty), machine.operator(faulty)
    bad, good = while_stopped(
        first._link.pid,
        lambda: first.make(asked("raises", item="i7"), now()),
        lambda: second.make(asked("good"), now()),
    )
    assert "InvalidArgument" in str(bad)
    assert items_of(good[0])


def test_what_one_tells_of_the_catalogue_all_know(machine: Machine, bundle: Path) -> None:
    first, second = machine.operator(bundle), machine.operator(bundle)
    first.follow(eight_items(without=3))
    first.make(asked("u1"), now())
    assert "i3" not in items_of(second.make(asked("u2"), now())[0])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_dies_or_hangs_is_started_again_once(machine: Machine, bundle: Path, how: signal.Signals) -> None:
    operators = [machine.operator(bundle, kill_after_s=0.5) for _ in range(3)]
    (before,) = machine.pids
    os.kill(before, how)
    for operator in operators:
        with pytest.raises(ScorerLost):
            operator.make(asked("u1"), now())
    with ThreadPoolExecutor(3) as threads:
        assert all(items_of(made[0]) for made in threads.map(lambda one: one.make(asked("u1"), now()), operators))
    (after,) = machine.pids
    assert after != before
    eventually(lambda: not psutil.pid_exists(before), 2)


def test_an_operator_that_stops_in_a_message_holds_nobody_for_long(machine: Machine, bundle: Path) -> None:
    operator = machine.operator(bundle)
    with operator._link.connect() as stopped:
        stopped.sendall(b"\0\0\1")  # half of a length
        begun = time.monotonic()
        assert items_of(operator.make(asked("u1"), now())[0])
        assert time.monotonic() - begun < PATIENCE_S + 0.5
        assert stopped.recv(1) == b"", "its connection was closed"
    assert items_of(operator.make(asked("u1"), now())[0])


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
        assert links._still_there(end, os.getpid()) == -1


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


STOPS_WITH_THE_LOCK = (
    "import os, signal, sys\n"
    "from pathlib import Path\n"
    "from pipelines.scoring.locks import locked\n"
    "with locked(Path(sys.argv[1]), 1):\n"
    "    os.kill(os.getpid(), signal.SIGSTOP)\n"
)


def test_an_operator_that_is_stopped_while_it_holds_the_lock_keeps_nobody_for_ever(
    machine: Machine, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "LOCK_SECONDS", 0.5)
    monkeypatch.setattr("pipelines.scoring.process.AGAIN_SECONDS", 0.0)
    lock = machine.folder / LOCK
    command = [sys.executable, "-c", STOPS_WITH_THE_LOCK, str(lock)]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.getcwd()}) as other:
        eventually(lambda: psutil.Process(other.pid).status() == psutil.STATUS_STOPPED, 20)
        begun = time.monotonic()
        with pytest.raises(StackError, match=rf"process {other.pid} keeps it \(T .*kill -CONT {other.pid}"):
            machine.link(bundle).connect()
        # an operator opens all the same: its shoppers have fallbacks, and it asks again
        operator = ScorerProcess(machine.link(bundle), machine.begin(bundle), 5, lambda _: None)
        machine.operators.append(operator)
        for call in (operator.ready, lambda: operator.make(asked("u1"), now())):
            with pytest.raises(ScorerLost):
                call()
        assert time.monotonic() - begun < 5
        other.send_signal(signal.SIGCONT)
        assert other.wait(5) == 0
        assert items_of(operator.make(asked("u1"), now())[0])


def test_the_sockets_of_bundles_that_serve_no_longer_do_not_stay(
    machine: Machine, bundle: Path, tmp_path: Path
) -> None:
    """Each bundle has its own, and a process that was killed leaves it; one that serves another bundle keeps its own."""
    serving = machine.operator(bundle)
    begin = machine.begin(bundle)
    for version in range(3):
        begin.journal = str(tmp_path / f"{version}.crashes")
        link = SharedScorer(sys.executable, begin, machine.folder)
        with link.connect():
            process = psutil.Process(link.pid)
        link.leave(hung=True)
        process.wait(5)
    assert len([*machine.folder.glob("*.sock")]) == 2, "of the one that serves, and of the last that was killed"
    assert [*machine.folder.glob("*lock*")] == [machine.folder / LOCK]
    assert items_of(serving.make(asked("u1"), now())[0])
    assert machine.operator(bundle)._link.pid == serving._link.pid


def test_one_that_takes_no_more_connections_keeps_nobody_for_ever(
    machine: Machine, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "CONNECT_SECONDS", 0.2)
    operator = machine.operator(bundle)
    pid = operator._link.pid
    os.kill(pid, signal.SIGSTOP)
    waiting: list[socket.socket] = []

    def until_nobody_is_taken() -> None:
        for _ in range(200):
            waiting.append(machine.link(bundle).connect())

    with pytest.raises(StackError, match="it hangs") as full:
        until_nobody_is_taken()
    assert full.value.retriable
    for one in waiting:
        one.close()
    os.kill(pid, signal.SIGCONT)
    assert items_of(operator.make(asked("u1"), now())[0])


def test_a_process_that_ends_before_it_listens_is_told(machine: Machine, bundle: Path) -> None:
    link = SharedScorer("/bin/false", machine.begin(bundle), machine.folder)
    with pytest.raises(StackError, match="exit code 1") as ended:
        link.connect()
    assert ended.value.retriable


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


def test_where_it_hangs_with_the_interpreters_lock_and_all_operators_have_died_the_kernel_ends_it(
    machine: Machine, bundle: Path, tmp_path: Path
) -> None:
    python, folder, kill_after_ms = write_holding_python(tmp_path / "python"), str(machine.folder), "500"
    words = (str(bundle), str(machine.folder / "crashes"), python, folder, kill_after_ms, HOLDS, "i2")
    with operator_process(*words) as (operator, scorer):
        time.sleep(0.5)
        operator.kill()
        assert scorer.is_running()
        begun = time.monotonic()
        with suppress(psutil.NoSuchProcess):
            scorer.wait(HANGS * 0.5 + 3)
        assert not scorer.is_running(), time.monotonic() - begun


def test_a_folder_with_a_long_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="shorter"):
        link_of(sys.executable, Begin({}, "", "shared", ""), str(tmp_path / ("long" * 20)))
