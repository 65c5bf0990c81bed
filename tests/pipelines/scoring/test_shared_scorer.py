"""The scorer process that several subtasks share: one for all, what waits scored at once, and nobody's trouble is another's."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from operators.errors import StackError
from pipelines.scoring import links
from pipelines.scoring.links import LOCK, SharedScorer, link_of
from pipelines.scoring.process import ScorerLost, ScorerProcess
from pipelines.scoring.shared import HANGS, LONELY_S, PATIENCE_S
from pipelines.scoring.wire import Handshake
from tests.builders import write_faulty_bundle
from tests.pipelines.scoring.scorer_faults import HOLDS, operator_process, write_holding_python
from tests.pipelines.scoring.scorer_requests import asked, eight_items, items_of, now
from tests.pipelines.scoring.shared_machine import Machine, Make
from tests.stack.topics import eventually


def while_stopped(pid: int, *makes: Make) -> list[object]:
    """What each says, or raises, when all have asked before the process can look."""
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(len(makes)) as threads:
        futures = [threads.submit(make) for make in makes]
        time.sleep(0.2)
        os.kill(pid, signal.SIGCONT)
        return [future.exception() or future.result() for future in futures]


@pytest.mark.slow
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
    first.attach_catalogue(eight_items(without=3))
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
        link_of(sys.executable, Handshake({}, "", "shared", ""), str(tmp_path / ("long" * 20)))
