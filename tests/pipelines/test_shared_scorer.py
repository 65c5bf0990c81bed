"""The scorer process that several subtasks share: one for all, what waits scored at once, and nobody's trouble is another's."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil
import pytest

from operators.contracts import CatalogueItem
from operators.errors import StackError
from operators.settings import ScorerSettings, Settings
from pipelines.scoring.links import link_of
from pipelines.scoring.process import ScorerLost, ScorerProcess
from pipelines.scoring.shared import LONELY_S, PATIENCE_S
from pipelines.scoring.wire import Begin
from tests.builders import write_bundle, write_faulty_bundle
from tests.pipelines.test_scorer_process import asked, items_of, now
from tests.stack.topics import eventually

Make = Callable[[], object]


@dataclass
class Machine:
    """A folder for the socket, and the operators of it."""

    folder: Path
    operators: list[ScorerProcess] = field(default_factory=list)

    def operator(self, bundle: Path, kill_after_s: float = 5) -> ScorerProcess:
        """Another subtask; ready."""
        scorer = ScorerSettings(provider="cpu", metrics_port=19450, shared_dir=str(self.folder))
        settings = Settings.model_construct(scorer=scorer).model_dump()
        begin = Begin(settings, str(bundle), "shared", str(self.folder / "crashes"))
        link = link_of(sys.executable, begin, scorer.shared_dir)
        operator = ScorerProcess(link, begin, kill_after_s, lambda _: None)
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
    for n in range(1, 9):
        first.changed(f"i{n}", msgspec.json.encode(CatalogueItem(item_id=f"i{n}", in_stock=n != 3)))
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


def test_one_of_which_it_was_not_noted_who_it_is_is_left_alone(machine: Machine, bundle: Path) -> None:
    """Its starter died in between. Nobody may be killed for it, and it could not be killed when it hangs."""
    first = machine.operator(bundle)
    (note,) = machine.folder.glob("*.pid")
    note.write_text("")
    second = machine.operator(bundle)
    assert len(machine.pids) == 2
    assert note.read_text().split()[0] == str(second._link.pid)
    assert all(items_of(operator.make(asked("u1"), now())[0]) for operator in (first, second))


def test_a_folder_with_a_long_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="shorter"):
        link_of(sys.executable, Begin({}, "", "shared", ""), str(tmp_path / ("long" * 20)))
