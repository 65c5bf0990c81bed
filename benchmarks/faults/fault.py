"""A fault as a record, and the injection of each kind into the local stack."""

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

CHUNK, SMALL_CHUNK = b"\0" * 4_194_304, b"\0" * 4096
FIND_S = 15.0  # maximum wait for a process that is about to start


@dataclass(frozen=True)
class Fault:
    """A fault of this `kind` strikes `target` after `at_s` seconds of load, and lasts for `for_s` seconds.

    kind: kill, segfault, pause, restart (clean), stop (and start after `for_s`), cut, slow (100 ms, 3 Mbit/s), fill (a folder).
    target: a part of the stack; `taskmanager` is the one whose slot is taken, `scorer` its scorer process.
    """

    kind: str
    target: str = ""
    at_s: float = 8.0
    for_s: float = 0.0


class Injector:
    """Injects faults into one running stack."""

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
        # each returns the evidence that it struck
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
        """Injects the fault; one that lasts is undone after `for_s`. The strike reports a failed injection."""
        started_s, name = time.monotonic(), f"{fault.kind} {Path(fault.target).name}".strip()
        try:
            evidence, failure = self.kinds[fault.kind](fault), ""
        except (LiveshelfError, OSError, LookupError, StopIteration, psutil.Error, xmlrpc.client.Error) as error:
            evidence, failure = "", f"it could not be done: {error!r}"
        return Strike(name, evidence, started_s, time.monotonic(), failure)

    def part(self, target: str) -> str:
        """The part of the stack that `target` means now."""
        return self.working_taskmanager() if target == "taskmanager" else target

    def pid(self, target: str) -> int:
        """The pid of a target."""
        return self.scorer() if target == "scorer" else self._supervisor.pids()[self.part(target)]

    def scorer(self) -> int:
        """The shared scorer service, else the process of the TaskManager that works (the first of several slots)."""
        return self._supervisor.pids().get("scorer") or scorer_of(self.pid("taskmanager"))

    def working_taskmanager(self) -> str:
        """The first TaskManager whose slot is taken."""
        managers = self._cluster.get("/taskmanagers")["taskmanagers"]
        busy = next(manager for manager in managers if manager["freeSlots"] == 0)
        port = int(busy["id"].split(":")[1].split("-")[0])
        listening = subprocess.run(["ss", "-ltnpH", f"sport = :{port}"], capture_output=True, text=True).stdout
        return next(part for part, pid in self._supervisor.pids().items() if f"pid={pid}," in listening)

    def victim(self, target: str) -> Victim:
        """The process that `target` means now, with its successor. Waits for a process that is about to start."""
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
        part, old_process = self.part(fault.target), self._process(fault.target)
        self._supervisor.restart(part)
        new_pid = self._supervisor.pids().get(part)
        return (
            f"pid {old_process.pid} gone, then pid {new_pid}"
            if new_pid and new_pid != old_process.pid and not old_process.is_running()
            else ""
        )

    def _stop(self, fault: Fault) -> str:
        part, old_process = self.part(fault.target), self._process(fault.target)
        with self._supervisor.stopped(part):
            stopped = not old_process.is_running() and part not in self._supervisor.pids()
            time.sleep(fault.for_s)
            stopped = stopped and part not in self._supervisor.pids()
        return f"pid {old_process.pid} gone for {fault.for_s:g} s" if stopped else ""

    def _link(self, fault: Fault, link: Link) -> str:
        if self._proxy is None:
            raise StackError("a proxy between the job and the broker", "none", "run it in tests/faults")
        self._proxy.traffic = Traffic()
        self._proxy.link = link
        time.sleep(fault.for_s)
        traffic = self._proxy.traffic
        self._proxy.heal()
        if link.cut:
            evidence = f"{traffic.held_bytes:,} bytes and {traffic.connections} new connections held by the proxy"
            return evidence if traffic.held_bytes or traffic.connections else ""
        evidence_of_delay = f"{traffic.slowed_bytes:,} bytes late by up to {1000 * traffic.longest_delay_s:.0f} ms"
        return evidence_of_delay if traffic.longest_delay_s >= 0.99 * link.delay_s else ""

    def _fill(self, fault: Fault) -> str:
        logs = Logs(self._layout.logs)
        with full_disk(Path(fault.target)) as full:
            time.sleep(fault.for_s)
            was_full = full()
        files = logs.files_with(NO_SPACE)
        return f"ENOSPC in {', '.join(files)}" if was_full and files else ""


def scorer_of(taskmanager: int) -> int:
    """The pid of the scorer process below a TaskManager's pid. Raises `StopIteration` if there is none."""
    family = psutil.Process(taskmanager).children(recursive=True)
    return next(process.pid for process in family if "pipelines.scoring.main" in process.cmdline())


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[Callable[[], bool]]:
    """Keeps the file system of `folder` full inside this block, even if others free space.

    Yields a function that returns whether it was full.
    """
    ballast, stop, full = folder / "ballast", threading.Event(), threading.Event()

    def fill() -> None:
        chunk = CHUNK
        with ballast.open("wb", buffering=0) as file:
            while not stop.is_set():
                try:
                    file.write(chunk)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    if chunk is SMALL_CHUNK:
                        full.set()
                        stop.wait(0.01)
                    chunk = SMALL_CHUNK

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    full.wait(60)
    try:
        yield full.is_set
    finally:
        stop.set()
        thread.join()
        ballast.unlink()
