"""The scorer service: one process for all, what waits scored at once, and nobody's trouble is another's."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from operators.errors import StackError
from pipelines.scoring import links
from pipelines.scoring.links import SERVICE
from pipelines.scoring.process import ScorerLost
from pipelines.scoring.server import PATIENCE_S
from tests.builders import write_bundle, write_faulty_bundle
from tests.pipelines.scoring.scorer_faults import HOLDS, operator_process, write_holding_python
from tests.pipelines.scoring.scorer_requests import ask, asked, eight_items, items_of
from tests.pipelines.scoring.shared.shared_machine import Machine, Make
from tests.stack.topics import eventually


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.scoring.process.AGAIN_SECONDS", 0.0)


def while_stopped(pid: int, *makes: Make) -> list[object]:
    """What each says, or raises, when all have asked before the service can look."""
    os.kill(pid, signal.SIGSTOP)
    eventually(
        lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED
    )  # on a busy machine it first takes a message
    with ThreadPoolExecutor(len(makes)) as threads:
        futures = [threads.submit(make) for make in makes]
        time.sleep(0.2)
        os.kill(pid, signal.SIGCONT)
        return [future.exception() or future.result() for future in futures]


def test_operators_that_come_at_once_share_one_model(machine: Machine, bundle: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        operators = list(threads.map(lambda _: machine.operator(bundle), range(4)))
    assert {operator._link.pid for operator in operators} == {machine.service.pid}
    lists = [items_of(ask(operator, asked("u1"))[0]) for operator in operators]
    assert lists == [lists[0]] * 4
    assert len([*machine.folder.glob("*.crashes")]) == 1, "each model has a journal"
    for operator in operators[1:]:
        operator.close()
    assert items_of(ask(operators[0], asked("u1"))[0]) == lists[0]


def test_two_bundles_are_served_by_one_process_each_with_its_own_catalogue(
    machine: Machine, bundle: Path, tmp_path: Path
) -> None:
    """A job before and after a change of its model, or two jobs."""
    first, second = machine.operator(bundle), machine.operator(write_bundle(tmp_path / "larger", items=30))
    assert first._link.pid == second._link.pid
    first.catalogue.attach(eight_items(without=3))
    lists = while_stopped(machine.service.pid, lambda: ask(first, asked("u1")), lambda: ask(second, asked("u1")))
    shorter, longer = (items_of(answers[0]) for answers in lists)
    assert "i3" not in shorter and "i3" in longer
    assert len(shorter) < 8 < len(longer)


def test_what_waits_in_all_of_them_is_one_micro_batch(machine: Machine, bundle: Path) -> None:
    first, second = machine.operator(bundle), machine.operator(bundle)
    ours, theirs = while_stopped(
        machine.service.pid,
        lambda: ask(first, asked("u1", "u2")),
        lambda: ask(second, asked("u3", item="i5")),
    )
    assert (len(ours), len(theirs)) == (2, 1)
    assert ours[0].times.scored == theirs[0].times.scored
    assert items_of(theirs[0]) == items_of(ask(second, asked("u3", item="i5"))[0])
    assert items_of(ours[1]) == items_of(ask(first, asked("u2"))[0]) != items_of(theirs[0])


def test_one_batch_that_raises_fails_alone(machine: Machine, tmp_path: Path) -> None:
    faulty = write_faulty_bundle(tmp_path / "faulty")
    first, second = machine.operator(faulty), machine.operator(faulty)
    (bad,), good = while_stopped(
        machine.service.pid,
        lambda: ask(first, asked("raises", item="i7")),
        lambda: ask(second, asked("good")),
    )
    assert "InvalidArgument" in str(bad)
    assert items_of(good[0])


def test_what_one_tells_of_the_catalogue_all_know(machine: Machine, bundle: Path) -> None:
    first, second = machine.operator(bundle), machine.operator(bundle)
    first.catalogue.attach(eight_items(without=3))
    ask(first, asked("u1"))
    assert "i3" not in items_of(ask(second, asked("u2"))[0])


def test_one_that_dies_is_started_again_by_its_supervisor_and_told_of_the_catalogue(
    machine: Machine, bundle: Path
) -> None:
    operators = [machine.operator(bundle) for _ in range(3)]
    operators[0].catalogue.attach(eight_items(without=3))
    ask(operators[0], asked("u1"))
    os.kill(machine.service.pid, signal.SIGKILL)
    for operator in operators:
        with pytest.raises(ScorerLost, match=r"died|takes nothing"):
            ask(operator, asked("u1"))
    machine.services[0].wait(10)
    with pytest.raises(ScorerLost, match="none does"):
        ask(operators[0], asked("u1"))
    machine.start()  # the socket of the dead process is still there
    with ThreadPoolExecutor(3) as threads:
        assert all(items_of(made[0]) for made in threads.map(lambda one: ask(one, asked("u1")), operators))
    assert {operator._link.pid for operator in operators} == {machine.service.pid}
    assert "i3" not in items_of(ask(operators[1], asked("u1"))[0])


def test_while_one_is_stopped_nobody_waits_for_long_and_afterwards_it_serves(machine: Machine, bundle: Path) -> None:
    operators = [machine.operator(bundle, kill_after_s=0.5) for _ in range(3)]
    os.kill(machine.service.pid, signal.SIGSTOP)
    begun = time.monotonic()
    for operator in operators:
        with pytest.raises(ScorerLost, match="no answer"):
            ask(operator, asked("u1"))
    assert time.monotonic() - begun < 3 * 0.5 + 1
    os.kill(machine.service.pid, signal.SIGCONT)
    assert all(items_of(ask(operator, asked("u1"))[0]) for operator in operators)


def test_where_a_micro_batch_hangs_with_the_interpreters_lock_the_kernel_ends_the_process(
    empty_machine: Machine, bundle: Path, tmp_path: Path
) -> None:
    """Also where the job's bound is a moment: the bound of another job does not count."""
    service = empty_machine.start(write_holding_python(tmp_path / "python"))
    other, operator = empty_machine.operator(bundle), empty_machine.operator(bundle, kill_after_ms=500)
    begun = time.monotonic()
    with pytest.raises(ScorerLost, match="died"):
        ask(operator, asked(HOLDS))
    assert 0.4 < time.monotonic() - begun < 3
    assert service.wait(5) == -signal.SIGALRM
    empty_machine.start()
    for one in (other, operator):
        with suppress(ScorerLost):
            ask(one, asked("u1"))
        assert items_of(ask(one, asked("u1"))[0])


def test_where_it_hangs_and_its_operator_has_died_the_kernel_ends_it_too(
    empty_machine: Machine, bundle: Path, tmp_path: Path
) -> None:
    service = empty_machine.start(write_holding_python(tmp_path / "python"))
    words = (str(bundle), "0.crashes", "", str(empty_machine.path), "1000", HOLDS, "i2")
    with operator_process(*words) as (operator, scorer):
        assert scorer.pid == service.pid
        time.sleep(0.3)
        operator.kill()
        assert scorer.is_running()
        assert service.wait(4) == -signal.SIGALRM


def test_who_hangs_it_twice_is_not_scored_again_and_the_others_are(
    empty_machine: Machine, bundle: Path, tmp_path: Path
) -> None:
    """The next service finds the journal beside its socket."""
    python = write_holding_python(tmp_path / "python")
    empty_machine.start(python)
    operator = empty_machine.operator(bundle, kill_after_ms=500)
    for _ in range(2):
        with pytest.raises(ScorerLost, match="died"):
            ask(operator, asked(HOLDS))
        empty_machine.start(python)
    refused, made = ask(operator, [*asked(HOLDS), *asked("another")])
    assert "CrashesTheProcess" in str(refused)
    assert items_of(made)


def test_an_operator_that_stops_in_a_message_holds_nobody_for_long(machine: Machine, bundle: Path) -> None:
    operator = machine.operator(bundle)
    with operator._link.connect() as stopped:
        stopped.sendall(b"\0\0\1")  # half of a length
        begun = time.monotonic()
        assert items_of(ask(operator, asked("u1"))[0])
        assert time.monotonic() - begun < PATIENCE_S + 0.5
        assert stopped.recv(1) == b"", "its connection was closed"
    assert items_of(ask(operator, asked("u1"))[0])


def test_a_job_starts_without_the_service_and_asks_it_when_it_is_there(empty_machine: Machine, bundle: Path) -> None:
    with pytest.raises(StackError, match=f"python -P -m {SERVICE} {empty_machine.path}.*fallback") as away:
        empty_machine.link().connect()
    assert away.value.retriable
    operator, begun = empty_machine.unready(bundle), time.monotonic()
    for call in (operator.ready, lambda: ask(operator, asked("u1"))):
        with pytest.raises(ScorerLost):
            call()
    assert time.monotonic() - begun < 5, "fallback lists go out meanwhile"
    empty_machine.start()
    assert items_of(ask(operator, asked("u1"))[0])


def test_one_that_takes_no_more_connections_keeps_nobody_for_ever(
    machine: Machine, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "CONNECT_SECONDS", 0.2)
    operator = machine.operator(bundle)
    os.kill(machine.service.pid, signal.SIGSTOP)
    waiting: list[socket.socket] = []

    def until_nobody_is_taken() -> None:
        for _ in range(200):
            waiting.append(machine.link().connect())

    with pytest.raises(StackError, match="took no connection") as full:
        until_nobody_is_taken()
    assert full.value.retriable
    for one in waiting:
        one.close()
    os.kill(machine.service.pid, signal.SIGCONT)
    assert items_of(ask(operator, asked("u1"))[0])


@pytest.mark.slow
def test_a_model_that_nobody_uses_is_freed(machine: Machine, tmp_path: Path) -> None:
    """Its port, and most of its memory: a job is submitted again and again to one service."""
    sizes = []
    for number in range(3):
        bundle = write_bundle(tmp_path / f"bundle{number}", items=3_000)
        operator = machine.operator(bundle)
        assert items_of(ask(operator, asked("u1"))[0])
        sizes.append(machine.service.memory_info().rss)
        operator.close()
        eventually(lambda: not listening_ports(machine.service), 20)
    assert machine.log.count("unused models are forgotten") >= 1
    assert sizes[2] - sizes[0] < 10 * 2**20, "one model has 36 MB"


def listening_ports(process: psutil.Process) -> set[int]:
    return {one.laddr.port for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN}
