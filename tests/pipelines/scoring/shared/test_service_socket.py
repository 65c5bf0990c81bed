"""The socket of the scorer service: private, of one process, and gone with it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from operators.errors import StackError
from pipelines.scoring.links import SERVICE
from pipelines.scoring.service_socket import listening
from tests.pipelines.scoring.shared.shared_machine import Machine
from tests.places import ROOT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_told_to_end_removes_its_socket(empty_machine: Machine, number: signal.Signals) -> None:
    service = empty_machine.start()
    service.send_signal(number)
    assert service.wait(20) == 0
    assert not empty_machine.path.exists()
    assert empty_machine.probe().answer() is None


def test_a_second_one_is_refused_and_the_first_goes_on(machine: Machine) -> None:
    (first,) = machine.services
    second = machine.launch()
    assert second.wait(120) == 1
    assert "another process listens there" in machine.log and f"fuser {machine.path}" in machine.log
    assert machine.probe().answer() == "listens"
    with machine.link().connect():
        pass
    assert first.poll() is None


@pytest.mark.parametrize("replaced", [True, False])
def test_one_whose_socket_was_removed_or_replaced_ends_and_leaves_the_other(
    empty_machine: Machine, replaced: bool
) -> None:
    """A cleaner of /tmp does that: nobody could connect any more."""
    service = empty_machine.start()
    empty_machine.path.unlink()
    if replaced:
        empty_machine.path.touch()
    assert service.wait(20) == 1
    assert "a supervisor starts it again" in empty_machine.log
    assert empty_machine.path.exists() == replaced


def test_a_file_of_somebody_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "private" / "scorer.sock"
    path.parent.mkdir(mode=0o700)
    path.write_text("precious")
    with pytest.raises(StackError, match="a socket or nothing"), listening(path):
        pass
    assert path.read_text() == "precious"


def test_one_that_takes_no_more_connections_is_not_taken_for_dead(empty_machine: Machine) -> None:
    path, waiting = empty_machine.path, list[socket.socket]()
    with listening(path):
        for _ in range(200):
            waiting.append(end := socket.socket(socket.AF_UNIX))
            end.setblocking(False)
            if end.connect_ex(str(path)):
                break
        with pytest.raises(StackError, match="another process listens"), listening(path):
            pass
        assert path.exists()
    for end in waiting:
        end.close()
    assert not path.exists()


def test_the_folder_is_made_for_this_user_alone_and_one_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with listening(folder / "scorer.sock"):
        assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(StackError, match="chmod 700"), listening(folder / "scorer.sock"):
        pass


@pytest.mark.parametrize("path", ["/run/" + "long" * 30, "relative.sock", ""])
def test_a_path_that_no_socket_can_have_is_refused(path: str) -> None:
    with pytest.raises(StackError, match=r"scorer\.socket"), listening(Path(path)):
        pass


def test_process_1_of_a_container_is_refused_for_no_timer_would_end_it() -> None:
    command = ["unshare", "--pid", "--fork", sys.executable, "-P", "-m", SERVICE, "/nowhere/scorer.sock"]
    if os.geteuid() or subprocess.run([*command[:3], "true"], capture_output=True).returncode:
        pytest.skip("only root can make a PID namespace")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    refused = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert refused.returncode == 1
    assert "docker run --init" in refused.stdout


def test_a_call_without_a_path_says_how() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    called = subprocess.run(
        [sys.executable, "-P", "-m", SERVICE], capture_output=True, text=True, timeout=120, env=environment
    )
    assert called.returncode == 1
    assert called.stderr.strip() == f"usage: python -P -m {SERVICE} SOCKET"
