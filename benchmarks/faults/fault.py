"""A fault as a record, and how each kind is done to the local stack."""

import contextlib
import errno
import signal
import subprocess
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.faults.evidence import NO_SPACE, Logs, Strike, Victim
from benchmarks.faults.tcp_proxy import Link, TcpProxy, Traffic
from deploy.local.layout import Layout
from deploy.local.supervisor import Supervisor
from operators.errors import LiveshelfError, StackError
from operators.settings import Settings
from pipelines.submission.cluster import Cluster

CHUNK, CRUMB = b"\0" * 4_194_304, b"\0" * 4096
FIND_S = 15.0  # for a process that is about to start


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
        self._layout = Layout.of(settings)
        self._supervisor = Supervisor(self._layout)
        self._cluster = Cluster(settings.job)
        self._proxy = proxy
        broker, rest = settings.kafka.bootstrap.split(",")[0].rsplit(":", 1), urlsplit(settings.job.rest_url)
        self._addresses = {
            "kafka": (broker[0], int(broker[1])),
            "jobmanager": (rest.hostname or "", rest.port or 80),
            "zookeeper": ("127.0.0.1", settings.stack.zookeeper_port),
            "storefront": (settings.storefront.host, settings.storefront.port),
        }
        # each returns what shows that it struck
        self.kinds: dict[str, Callable[[Fault], str]] = {
            "kill": lambda fault: self.victim(fault.target).kill(),
            "segfault": lambda fault: self.victim(fault.target).kill(signal.SIGSEGV),
            "pause": lambda fault: self.victim(fault.target).pause(fault.for_s),
            "restart": self._restart,
            "stop": self._stop,
            "cut": lambda fault: self._link(fault, Link(cut=True)),
            "slow": lambda fault: self._link(fault, Link(delay_s=0.1, bytes_per_s=3_000_000 / 8)),
            "fill": self._fill,
        }

    def inject(self, fault: Fault) -> Strike:
        """Does it and, where it lasts, waits and undoes it. One that cannot be done is said in the strike."""
        started_s, name = time.monotonic(), f"{fault.what} {Path(fault.target).name}".strip()
        try:
            evidence, failure = self.kinds[fault.what](fault), ""
        except (LiveshelfError, OSError, LookupError, StopIteration, psutil.Error, xmlrpc.client.Error) as error:
            evidence, failure = "", f"it could not be done: {error!r}"
        return Strike(name, evidence, started_s, time.monotonic(), failure)

    def part(self, target: str) -> str:
        """The part that `target` names now."""
        return self.working_taskmanager() if target == "taskmanager" else target

    def pid(self, target: str) -> int:
        """Its process."""
        return self.scorer() if target == "scorer" else self._supervisor.pids()[self.part(target)]

    def scorer(self) -> int:
        """The shared scorer service, else the process of the TaskManager that works (the first of several slots)."""
        return self._supervisor.pids().get("scorer") or scorer_of(self.pid("taskmanager"))

    def working_taskmanager(self) -> str:
        """The TaskManager whose slot is taken (the first of several)."""
        managers = self._cluster.get("/taskmanagers")["taskmanagers"]
        busy = next(manager for manager in managers if manager["freeSlots"] == 0)
        port = int(busy["id"].split(":")[1].split("-")[0])
        listening = subprocess.run(["ss", "-ltnpH", f"sport = :{port}"], capture_output=True, text=True).stdout
        return next(part for part, pid in self._supervisor.pids().items() if f"pid={pid}," in listening)

    def victim(self, target: str) -> Victim:
        """The process that `target` names now, with who takes its place; one that is about to start is waited for."""
        process = self._process(target)
        parent, pid = process.ppid(), process.pid
        part = next((name for name, part_pid in self._supervisor.pids().items() if part_pid == pid), "")
        successor = (lambda: self._supervisor.pids().get(part)) if part else (lambda: scorer_of(parent))
        return Victim(process, successor, self._addresses.get(target))

    def _process(self, target: str) -> psutil.Process:
        deadline = time.monotonic() + FIND_S
        while True:
            try:
                return psutil.Process(self.pid(target))
            except (LiveshelfError, OSError, LookupError, StopIteration, psutil.Error):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _restart(self, fault: Fault) -> str:
        part, old = self.part(fault.target), self._process(fault.target)
        self._supervisor.restart(part)
        new = self._supervisor.pids().get(part)
        return f"pid {old.pid} gone, then pid {new}" if new and new != old.pid and not old.is_running() else ""

    def _stop(self, fault: Fault) -> str:
        part, old = self.part(fault.target), self._process(fault.target)
        with self._supervisor.stopped(part):
            stopped = not old.is_running() and part not in self._supervisor.pids()
            time.sleep(fault.for_s)
            stopped = stopped and part not in self._supervisor.pids()
        return f"pid {old.pid} gone for {fault.for_s:g} s" if stopped else ""

    def _link(self, fault: Fault, link: Link) -> str:
        if self._proxy is None:
            raise StackError("a proxy between the job and the broker", "none", "run it in tests/faults")
        self._proxy.traffic = Traffic()
        self._proxy.link = link
        time.sleep(fault.for_s)
        traffic = self._proxy.traffic
        self._proxy.heal()
        if link.cut:
            evidence = f"{traffic.held:,} bytes and {traffic.connections} new connections held by the proxy"
            return evidence if traffic.held or traffic.connections else ""
        slowed = f"{traffic.slowed:,} bytes late by up to {1000 * traffic.longest_s:.0f} ms"
        return slowed if traffic.longest_s >= 0.99 * link.delay_s else ""

    def _fill(self, fault: Fault) -> str:
        logs = Logs(self._layout.logs)
        with full_disk(Path(fault.target)) as full:
            time.sleep(fault.for_s)
            filled = full()
        files = logs.files_with(NO_SPACE)
        return f"ENOSPC in {', '.join(files)}" if filled and files else ""


def scorer_of(taskmanager: int) -> int:
    """The scorer process of a TaskManager's pid; raises `StopIteration` where there is none."""
    family = psutil.Process(taskmanager).children(recursive=True)
    return next(process.pid for process in family if "pipelines.scoring.main" in process.cmdline())


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[Callable[[], bool]]:
    """The file system of `folder` has no byte left inside this block, also where others free some meanwhile.

    Gives a function that says whether it was full.
    """
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
        yield full.is_set
    finally:
        stop.set()
        thread.join()
        ballast.unlink()
