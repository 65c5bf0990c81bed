"""The engines of the contest; each is installed into its own environment below the stack's data."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from operators.errors import StackError
from operators.settings import project_root
from pipelines.reference_jobs.work import Contest

KERNEL = (
    "msgspec>=0.22,<0.23",
    "numpy<2.2",
    "onnxruntime-gpu==1.31.1",
    "pydantic>=2.9",
    "pydantic-settings>=2.6",
    "xxhash>=3.5",
)


@dataclass(frozen=True)
class Peer:
    """A pinned library and the module that does the work on it. `workers`: of its best version; 0 for PyFlink, whose best
    version is Liveshelf."""

    name: str
    module: str
    packages: tuple[str, ...]
    workers: int = 2


PEERS = (
    Peer("bytewax", "benchmarks.peers.on_bytewax", ("bytewax[kafka]==0.21.1",)),
    Peer("quix", "benchmarks.peers.on_quix", ("quixstreams==3.28.1",)),
    Peer("pyflink", "pipelines.reference_jobs.tutorial_job", (), workers=0),
)


def install(peer: Peer, folder: Path) -> Path:
    """The Python of an environment with the library and the kernel's packages, created once with uv. PyFlink uses this
    environment."""
    if not peer.packages:
        return Path(sys.executable)
    python = folder / peer.name / "bin" / "python"
    if python.exists():
        return python
    uv = [sys.executable, "-m", "uv"]
    for command in (
        [*uv, "venv", "-q", "--python", sys.executable, str(folder / peer.name)],
        [*uv, "pip", "install", "-q", "--python", str(python), *KERNEL, *peer.packages],
    ):
        process = subprocess.run(command, capture_output=True, text=True)
        if process.returncode:
            raise StackError(
                f"{peer.name} to be installed", process.stderr[-400:], "see the text above; it needs a package index"
            )
    return python


class Workers:
    """The workers of a contestant, inside a `with`."""

    def __init__(self, peer: Peer, python: Path, contest: Contest, log: Path) -> None:
        self._peer, self._python, self._contest, self._log = peer, python, contest, log
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Workers":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Starts all workers; the naive version has one."""
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        environment = os.environ | threads | {"PYTHONPATH": str(project_root())}
        for worker in range(self._peer.workers if self._contest.batched else 1):
            worker_contest = msgspec.structs.replace(self._contest, worker=worker)
            command = [str(self._python), "-m", self._peer.module, msgspec.json.encode(worker_contest).decode()]
            with self._log.open("ab") as log:
                self._workers.append(
                    subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self._log.parent)
                )

    def kill(self) -> None:
        """Kills all workers (kill -9)."""
        for worker in self._workers:
            worker.kill()
            worker.wait()
        self._workers = []

    def pids(self) -> dict[str, int]:
        """Worker -> pid."""
        return {f"worker-{number}": worker.pid for number, worker in enumerate(self._workers)}

    def check(self) -> None:
        """Raises `StackError` when a worker has ended."""
        for worker in self._workers:
            if worker.poll() is not None:
                raise StackError(
                    f"{self._peer.name} to run",
                    f"exit {worker.returncode}: {self._log.read_text()[-500:]}",
                    str(self._log),
                )
