"""One real stack for all tests of a run: own ports, own data folder, started once, stopped at the end."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.faults.fault import Injector
from benchmarks.faults.tcp_proxy import TcpProxy
from deploy.local.kafka.secure_broker import part_variables
from deploy.local.layout import Layout
from deploy.local.supervisor import Supervisor
from operators.settings import Settings, load_settings
from pipelines.local.local_submission import submit_locally
from pipelines.submission.checkpoints import find_checkpoints
from pipelines.submission.cluster import Cluster
from pipelines.submission.launcher import AlterShip
from tests.places import ROOT
from tests.stack.topics import Topics

KEEP = os.environ.get("KEEP_STACK")  # the stack stays after the tests, and one that is there is used
SECURE = bool(os.environ.get("SECURE_STACK"))  # its broker wants TLS and a login: `liveshelf up --secure`
DATA = ".liveshelf test"  # with a space: every part must bear it
LINK, BEHIND_LINK = 19094, 19095  # the proxy between job and broker, and the broker's listener behind it
WEBHOOK_PORT = 19099  # where Alertmanager calls
BROKER = {
    "listeners": f"CLIENTS://127.0.0.1:19092,LINK://127.0.0.1:{BEHIND_LINK},CONTROLLER://127.0.0.1:19093",
    "advertised.listeners": f"CLIENTS://127.0.0.1:19092,LINK://127.0.0.1:{LINK}",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,CLIENTS:PLAINTEXT,LINK:PLAINTEXT",
    "inter.broker.listener.name": "CLIENTS",
    "log.cleaner.backoff.ms": "500",  # of 15 s: a test waits until a tombstone is compacted away
}
VARIABLES = {
    "LIVESHELF_KAFKA__BOOTSTRAP": "127.0.0.1:19092",
    "LIVESHELF_JOB__REST_URL": "http://127.0.0.1:18081",
    "LIVESHELF_JOB__METRICS_PORT": "19260",
    "LIVESHELF_JOB__STATE_DIGESTS": "true",
    "LIVESHELF_JOB__CHECKPOINT_INTERVAL_MS": "2000",
    "LIVESHELF_STOREFRONT__PORT": "18000",
    "LIVESHELF_STACK__DATA_DIR": DATA,
    "LIVESHELF_STACK__CONTROLLER_PORT": "19093",
    "LIVESHELF_STACK__ZOOKEEPER_PORT": "12181",
    "LIVESHELF_STACK__JOBMANAGER_RPC_PORT": "16123",
    "LIVESHELF_STACK__PROMETHEUS_PORT": "19090",
    "LIVESHELF_STACK__ALERTMANAGER_PORT": "19096",
    "LIVESHELF_STACK__FLINK_METRICS_PORT": "19250",
    "LIVESHELF_STACK__BROKER_METRICS_PORT": "19270",
    "LIVESHELF_MONITOR__PORT": "19280",
    "LIVESHELF_SCORER__METRICS_PORT": "19300",
    "LIVESHELF_LINEAGE__FILE": f"{DATA}/lineage.jsonl",
    "LIVESHELF_ALERTS__WEBHOOK_URL": f"http://127.0.0.1:{WEBHOOK_PORT}/",
    "LIVESHELF_STOREFRONT__PROMETHEUS_URL": "http://127.0.0.1:19090",
    "LIVESHELF_STACK__BROKER": json.dumps(BROKER),
    "LIVESHELF_FILE": str(ROOT / "liveshelf.toml"),
}
THROUGH_LINK = {"LIVESHELF_KAFKA__BOOTSTRAP": f"127.0.0.1:{LINK}"}
EXACTLY_ONCE = {"LIVESHELF_JOB__DELIVERY": "exactly-once", "LIVESHELF_JOB__CHECKPOINT_INTERVAL_MS": "1000"}


@dataclass
class Stack:
    """The running stack, driven as a user drives it."""

    settings: Settings
    topics: Topics
    cluster: Cluster
    proxy: TcpProxy
    faulty_bundle: Path
    small_disks: dict[str, Path] = field(default_factory=dict)
    serving: tuple[str, dict[str, str]] = ("", {})

    def liveshelf(
        self, *words: str, ok: bool = True, variables: dict[str, str] | None = None, seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Runs a verb in a process of its own."""
        command = [str(Path(sys.executable).parent / "liveshelf"), *words]
        environment = os.environ | (variables or {})
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=seconds, env=environment)
        assert (done.returncode == 0) == ok, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def serve(self, bundle: Path, variables: dict[str, str] | None = None) -> str:
        """The job runs with this bundle and these settings, its state kept where another ran; returns its id."""
        wanted, jobs = (str(bundle), variables or {}), self.cluster.jobs(self.settings.job.name)
        if jobs and self.serving == wanted:
            return str(jobs[0]["jid"])
        if jobs:
            stopped = json.loads(self.liveshelf("stop", "--json").stdout)
            start = ["submit", "--from-savepoint", stopped["savepoint"]]
        elif find_checkpoints(self.layout.checkpoints, self.layout.savepoints):
            start = ["resume"]
        else:
            start = ["submit", "--fresh"]
        words = [*start, "--bundle", str(bundle), "--json"]
        answer = json.loads(self.liveshelf(*words, variables=variables).stdout)
        self.serving = wanted
        return str(answer["job_id"])

    def serve_sabotaged(self, bundle: Path, file: str, old: str, new: str) -> str:
        """The job runs with its state and with `old` replaced by `new` in `file` of the shipped code."""
        self.serve(bundle)
        location = json.loads(self.liveshelf("stop", "--json").stdout)["savepoint"]
        self.serving = (f"sabotaged {new}", {})
        return submit_locally(self.settings, bundle, savepoint=location, alter_ship=replaced(file, old, new))

    def forget_job(self) -> None:
        """No job and no trace of one, as on a new stack; what is on the topics stays."""
        for job in self.cluster.jobs(self.settings.job.name):
            self.cluster.cancel(job["jid"])
        self.topics.forget_group(self.settings.job.name)
        self.serving = ("", {})

    def lose_everything(self) -> None:
        """Stops the stack, empties every disk and starts it again: a new machine."""
        self.liveshelf("down")
        for path in sorted(self.layout.data.rglob("*"), key=lambda path: -len(path.parts)):
            with contextlib.suppress(OSError):  # what a disk is mounted on stays
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        self.serving = ("", {})
        self.up()

    def up(self) -> None:
        """Starts the parts; of a secure broker the access that they left is read."""
        self.liveshelf("up", *(["--secure"] if SECURE else []))
        self.topics.close()
        self.settings = load_settings()
        self.topics = Topics(self.settings.kafka)

    def variables_of(self, part: str) -> dict[str, str]:
        """The environment of a verb that is run as a part of the stack: of a secure one its user."""
        return part_variables(self.layout, part)

    def restarts(self, job_id: str) -> int:
        """How often the job was restarted since it was submitted, now: what Flink's REST says of it may be 10 s old."""
        page = httpx.get(f"http://127.0.0.1:{self.settings.stack.flink_metrics_port}/metrics").text
        numbers = (one for family in text_string_to_metric_families(page) for one in family.samples)
        return next(
            int(one.value)
            for one in numbers
            if one.name == "flink_jobmanager_job_numRestarts" and one.labels["job_id"] == job_id
        )

    @property
    def supervisor(self) -> Supervisor:
        """What keeps the parts alive."""
        return Supervisor(self.layout)

    @property
    def layout(self) -> Layout:
        """Where things are."""
        return Layout.of(self.settings)

    @cached_property
    def injector(self) -> Injector:
        """Does faults to this stack."""
        return Injector(self.settings, self.proxy)

    @property
    def shop(self) -> str:
        """Address of the storefront."""
        return f"http://127.0.0.1:{self.settings.storefront.port}"


def replaced(file: str, old: str, new: str) -> AlterShip:
    """Ships `file` with `new` in the place of `old`."""

    def alter(ship: Path) -> None:
        text = (ship / file).read_text()
        assert old in text, f"{old!r} is not in {file}"
        (ship / file).write_text(text.replace(old, new))

    return alter


@contextlib.contextmanager
def running_stack(faulty_bundle: Path) -> Iterator[Stack]:
    """The stack of the tests, from nothing; gone afterwards (with KEEP_STACK set it stays)."""
    before = dict(os.environ)
    os.environ.update(VARIABLES)
    settings = load_settings()
    stack = Stack(
        settings,
        Topics(settings.kafka),
        Cluster(settings.job),
        TcpProxy(LINK, BEHIND_LINK),
        faulty_bundle,
    )
    disks = SmallDisks(stack.layout)
    try:
        if KEEP is None or not stack.supervisor.running():
            stack.liveshelf("down")
            disks.unmount()
            stack.liveshelf("down", "--purge")
            disks.mount()
            stack.up()
        stack.small_disks = disks.mounted()
        yield stack
    finally:
        stack.topics.close()
        if KEEP is None:
            stack.liveshelf("down")
            disks.unmount()
            stack.liveshelf("down", "--purge")
        stack.proxy.close()
        os.environ.clear()
        os.environ.update(before)


class SmallDisks:
    """File systems of their own in memory for what may fill up, where this user may mount them."""

    SIZES = {"kafka/data": "4g", "checkpoints": "300m", "tables": "300m"}  # noqa: RUF012

    def __init__(self, layout: Layout) -> None:
        self._folders = {name: layout.data / name for name in self.SIZES}

    def mounted(self) -> dict[str, Path]:
        """Name -> folder of those that are mounted."""
        return {name: folder for name, folder in self._folders.items() if os.path.ismount(folder)}

    def mount(self) -> None:
        """Mounts what this user may mount."""
        for name, folder in self._folders.items():
            folder.mkdir(parents=True, exist_ok=True)
            command = ["mount", "-t", "tmpfs", "-o", f"size={self.SIZES[name]}", "tmpfs", str(folder)]
            subprocess.run(command, capture_output=True)

    def unmount(self) -> None:
        """What an earlier run left is unmounted too."""
        for folder in self._folders.values():
            if os.path.ismount(folder):
                subprocess.run(["umount", "-l", str(folder)], check=True)
