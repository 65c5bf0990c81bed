"""Each fault says how it is known that it struck, and nothing where it did not."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from benchmarks.faults import evidence, fault
from benchmarks.faults.chaos import KINDS
from benchmarks.faults.evidence import Logs, Strike, Victim, refuses
from benchmarks.faults.fault import Fault, Injector
from benchmarks.faults.tcp_proxy import Traffic
from operators.errors import ClusterError
from operators.settings import Settings

SERVER = """import socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(60)"""
WRAPPER = f"""import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {SERVER!r}])
time.sleep(60)"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"


@contextlib.contextmanager
def running(program: str) -> Iterator[tuple[psutil.Process, int]]:
    """A process, and the number that it prints."""
    started = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    number = int(started.stdout.readline())
    process = psutil.Process(started.pid)
    family = process.children(recursive=True)
    threading.Thread(target=started.wait, daemon=True).start()  # as supervisor does: nobody stays a zombie
    try:
        yield process, number
    finally:
        for member in [process, *family]:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "GONE_S", 1.0)
    monkeypatch.setattr(evidence, "SUCCESSOR_S", 0.3)


def test_a_process_that_died_has_a_successor_and_its_port_refused() -> None:
    with running(SERVER) as (process, port):
        text = Victim(process, lambda: 4711, ("127.0.0.1", port)).kill()
    assert text == f"pid {process.pid} gone, port {port} refused, then pid 4711"


def test_a_process_without_a_successor_died_all_the_same() -> None:
    for successor_pid in (None, 0):
        with running(DEAF) as (process, _):
            assert (
                Victim(process, lambda successor_pid=successor_pid: successor_pid).kill()
                == f"pid {process.pid} gone, no other yet"
            )
    with running(DEAF) as (process, _):
        assert Victim(process, lambda: process.pid).kill() == f"pid {process.pid} gone, no other yet"


def test_a_process_that_lives_on_was_not_struck() -> None:
    with running(DEAF) as (process, _):
        assert Victim(process, lambda: 4711).kill(signal.SIGTERM) == ""


def test_a_wrapper_that_dies_leaves_what_serves_and_was_not_struck() -> None:
    with running(WRAPPER) as (process, port):
        assert Victim(process, lambda: 4711, ("127.0.0.1", port)).kill() == ""
        assert not Victim(process, lambda: None)._is_alive()


def test_a_pause_is_seen_and_ends() -> None:
    with running(DEAF) as (process, _):
        assert Victim(process, lambda: None).pause(0.4) == f"pid {process.pid} stood still 0.4 s"
        assert process.status() != psutil.STATUS_STOPPED


def test_a_pause_that_somebody_ends_before_its_time_is_none() -> None:
    with running(DEAF) as (process, _):
        threading.Timer(0.2, process.resume).start()
        assert Victim(process, lambda: None).pause(0.5) == ""


def test_a_process_that_is_killed_while_it_stands_still_stood_still() -> None:
    with running(DEAF) as (process, _):
        threading.Timer(0.2, process.kill).start()
        assert Victim(process, lambda: None).pause(0.5) == f"pid {process.pid} stood still until it was killed"


def test_only_a_refused_connection_is_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        assert not refuses(address)
    assert refuses(address)


def test_logs_are_read_from_now_on(tmp_path: Path) -> None:
    (tmp_path / "flink").mkdir()
    old, full = tmp_path / "kafka.log", tmp_path / "flink" / "tm.log"
    old.write_bytes(b"No space left on device\n")
    full.write_bytes(b"x" * 1000)
    logs = Logs(tmp_path)
    assert logs.files_with(evidence.NO_SPACE) == []
    with old.open("ab") as file:
        file.write(b"all is well\n")
    full.write_bytes(b"No space left on device\n")  # begun anew when it was full
    (tmp_path / "new.log").write_bytes(b"No space left on device\n")
    assert logs.files_with(evidence.NO_SPACE) == ["new.log", "tm.log"]


# the injector


class Parts:
    """A supervisor whose parts are as they are set."""

    def __init__(self, **pids: int) -> None:
        self.now = pids
        self.after_restart: dict[str, int] = {}

    def pids(self) -> dict[str, int]:
        return dict(self.now)

    def restart(self, name: str) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            if name in self.after_restart:
                psutil.Process(self.now[name]).kill()
                time.sleep(0.2)
        self.now |= self.after_restart

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        if "stops" in self.after_restart:
            psutil.Process(self.now.pop(name)).kill()
            time.sleep(0.2)
        yield


def injector(parts: Parts, proxy: Any = None) -> Injector:
    fault_injector = Injector(Settings(), proxy)
    fault_injector._supervisor = parts  # type: ignore[assignment]
    fault_injector._addresses = {}
    return fault_injector


def test_a_restart_is_known_by_the_other_pid() -> None:
    with running(DEAF) as (process, _):
        parts = Parts(kafka=process.pid)
        assert injector(parts).inject(Fault("restart", "kafka")).evidence == ""
        parts.after_restart = {"kafka": 4711}
        strike = injector(parts).inject(Fault("restart", "kafka"))
    assert strike.evidence == f"pid {process.pid} gone, then pid 4711" and not strike.doubt


def test_a_stop_is_known_by_the_missing_pid() -> None:
    with running(DEAF) as (process, _):
        parts = Parts(kafka=process.pid)
        assert injector(parts).inject(Fault("stop", "kafka")).evidence == ""
        parts.after_restart = {"stops": 1}
        assert injector(parts).inject(Fault("stop", "kafka", for_s=0.1)).evidence == f"pid {process.pid} gone for 0.1 s"


def test_kill_and_segfault_and_pause_name_their_pid() -> None:
    for kind in ("kill", "segfault", "pause"):
        with running(DEAF) as (process, _):
            strike = injector(Parts(storefront=process.pid)).inject(Fault(kind, "storefront", for_s=0.2))
        assert strike.fault == f"{kind} storefront" and f"pid {process.pid}" in strike.evidence
        assert strike.at <= strike.until <= time.monotonic()


class Proxy:
    """A proxy through which so many bytes go while a link is not perfect."""

    def __init__(self, **traffic: float) -> None:
        self.traffic, self.link = Traffic(), None
        self._traffic = traffic
        self.healed = False

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "link" and value is not None:
            super().__setattr__("traffic", Traffic(**self._traffic))

    def heal(self) -> None:
        self.healed = True


@pytest.mark.parametrize(
    ("kind", "traffic", "expected"),
    [
        ("cut", {"held_bytes": 1234}, "1,234 bytes and 0 new connections held by the proxy"),
        ("cut", {"connections": 2}, "0 bytes and 2 new connections held by the proxy"),
        ("cut", {}, ""),
        ("slow", {"slowed_bytes": 1000, "longest_delay_s": 0.25}, "1,000 bytes late by up to 250 ms"),
        ("slow", {"slowed_bytes": 10, "longest_delay_s": 0.05}, ""),
        ("slow", {}, ""),
    ],
)
def test_a_link_that_nothing_goes_through_was_not_struck(kind: str, traffic: dict[str, float], expected: str) -> None:
    proxy = Proxy(**traffic)
    assert injector(Parts(), proxy).inject(Fault(kind)).evidence == expected and proxy.healed


@pytest.mark.parametrize(("filled", "logged", "expected"), [
    (True, True, "ENOSPC in kafka.log"), (True, False, ""), (False, True, ""),
])  # fmt: skip
def test_a_full_disk_is_known_by_a_log_that_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, filled: bool, logged: bool, expected: str
) -> None:
    @contextlib.contextmanager
    def full_disk(folder: Path) -> Iterator[Any]:
        if logged:
            (tmp_path / "kafka.log").write_bytes(evidence.NO_SPACE)
        yield lambda: filled

    monkeypatch.setattr(fault, "full_disk", full_disk)
    fault_injector = injector(Parts())
    fault_injector._layout = SimpleNamespace(logs=tmp_path)  # type: ignore[assignment]
    assert fault_injector.inject(Fault("fill", str(tmp_path))).evidence == expected


def test_a_fault_that_cannot_be_done_is_a_strike_without_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault, "FIND_S", 0.0)
    fault_injector = injector(Parts())

    class Down:
        def get(self, path: str) -> Any:
            raise ClusterError("a Flink cluster", "refused", "liveshelf up")

    fault_injector._cluster = Down()  # type: ignore[assignment]
    for impossible in (
        Fault("kill", "kafka"),
        Fault("kill", "taskmanager"),
        Fault("kill", "scorer"),
        Fault("cut"),
        Fault("x"),
    ):
        strike = fault_injector.inject(impossible)
        assert strike.evidence == "" and "it could not be done" in strike.doubt, impossible


def test_every_kind_of_the_chaos_is_one_that_says_what_it_did() -> None:
    assert {kind for kind, *_ in KINDS} <= injector(Parts()).kinds.keys()
    assert Strike("kill kafka", "", 0, 0).doubt == "kill kafka: nothing shows that it struck"
