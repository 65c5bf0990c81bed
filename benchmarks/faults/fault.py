"""A fault as a record, and how each kind is done to the local stack."""

import contextlib
import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.faults.tcp_proxy import Link, TcpProxy
from deploy.local.layout import Layout
from deploy.local.supervisor import Supervisor
from operators.settings import Settings
from pipelines.cluster import Cluster

CHUNK, CRUMB = b"\0" * 4_194_304, b"\0" * 4096


@dataclass(frozen=True)
class Fault:
    """`what` happens to `target` at `at_s` seconds of load, for `for_s` seconds where it lasts.

    what: kill, segfault, pause, restart (clean), stop (and start after `for_s`), cut, slow (100 ms, 3 Mbit/s), fill (a folder).
    target: a part of the stack; `taskmanager` is the one whose slot is taken, `scorer` the process that scores for it.
    """

    what: str
    target: str = ""
    at_s: float = 8.0
    for_s: float = 0.0


class Injector:
    """Does faults to one running stack."""

    def __init__(self, settings: Settings, proxy: TcpProxy | None = None) -> None:
        self._supervisor = Supervisor(Layout.of(settings))
        self._cluster = Cluster(settings.job)
        self._proxy = proxy
        self.kinds: dict[str, Callable[[Fault], None]] = {
            "kill": lambda fault: self._signal(fault, signal.SIGKILL),
            "segfault": lambda fault: self._signal(fault, signal.SIGSEGV),
            "pause": self._pause,
            "restart": lambda fault: self._supervisor.restart(self.part(fault.target)),
            "stop": self._stop,
            "cut": lambda fault: self._link(fault, Link(cut=True)),
            "slow": lambda fault: self._link(fault, Link(delay_s=0.1, bytes_per_s=3_000_000 / 8)),
            "fill": self._fill,
        }

    def inject(self, fault: Fault) -> None:
        """Does it and, where it lasts, waits and undoes it."""
        self.kinds[fault.what](fault)

    def part(self, target: str) -> str:
        """The part that `target` names now."""
        return self.working_taskmanager() if target == "taskmanager" else target

    def pid(self, target: str) -> int:
        """Its process."""
        return self.scorer() if target == "scorer" else self._supervisor.pids()[self.part(target)]

    def scorer(self) -> int:
        """The scorer process of the TaskManager that works (the first of several slots)."""
        family = psutil.Process(self.pid("taskmanager")).children(recursive=True)
        return next(one.pid for one in family if "pipelines.scoring.main" in one.cmdline())

    def working_taskmanager(self) -> str:
        """The TaskManager whose slot is taken (the first of several)."""
        managers = self._cluster.get("/taskmanagers")["taskmanagers"]
        busy = next(manager for manager in managers if manager["freeSlots"] == 0)
        port = int(busy["id"].split(":")[1].split("-")[0])
        listening = subprocess.run(["ss", "-ltnpH", f"sport = :{port}"], capture_output=True, text=True).stdout
        return next(part for part, pid in self._supervisor.pids().items() if f"pid={pid}," in listening)

    @staticmethod
    def kill_pid(pid: int) -> None:
        """kill -9."""
        os.kill(pid, signal.SIGKILL)

    def _signal(self, fault: Fault, number: signal.Signals) -> None:
        os.kill(self.pid(fault.target), number)

    def _pause(self, fault: Fault) -> None:
        pid = self.pid(fault.target)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(fault.for_s)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def _stop(self, fault: Fault) -> None:
        part = self.part(fault.target)
        with self._supervisor.stopped(part):
            time.sleep(fault.for_s)

    def _link(self, fault: Fault, link: Link) -> None:
        assert self._proxy is not None
        self._proxy.link = link
        time.sleep(fault.for_s)
        self._proxy.heal()

    def _fill(self, fault: Fault) -> None:
        with full_disk(Path(fault.target)):
            time.sleep(fault.for_s)


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """The file system of `folder` has no byte left inside this block, also where others free some meanwhile."""
    ballast, stop, full = folder / "ballast", threading.Event(), threading.Event()

    def fill() -> None:
        piece = CHUNK
        with ballast.open("wb", buffering=0) as file:
            while not stop.is_set():
                try:
                    file.write(piece)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    if piece is CRUMB:
                        full.set()
                        stop.wait(0.01)
                    piece = CRUMB

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    full.wait(60)
    try:
        yield
    finally:
        stop.set()
        thread.join()
        ballast.unlink()
