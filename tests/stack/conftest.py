"""One real stack for all tests of this folder: own ports, own data folder, started once, stopped at the end."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.layout import Layout
from deploy.local.supervisor import Supervisor
from operators.settings import Settings, load_settings
from pipelines.cluster import Cluster
from tests.builders import write_faulty_bundle
from tests.stack.topics import Topics

ROOT = Path(__file__).resolve().parents[2]
DATA = ".liveshelf-test"
VARIABLES = {
    "LIVESHELF_KAFKA__BOOTSTRAP": "127.0.0.1:19092",
    "LIVESHELF_JOB__REST_URL": "http://127.0.0.1:18081",
    "LIVESHELF_JOB__METRICS_PORT": "19260",
    "LIVESHELF_JOB__STATE_DIGESTS": "true",
    "LIVESHELF_JOB__CHECKPOINT_INTERVAL_MS": "2000",
    "LIVESHELF_STOREFRONT__PORT": "18000",
    "LIVESHELF_STACK__DATA_DIR": DATA,
    "LIVESHELF_STACK__CONTROLLER_PORT": "19093",
    "LIVESHELF_STACK__JOBMANAGER_RPC_PORT": "16123",
    "LIVESHELF_STACK__SUPERVISOR_PORT": "19001",
    "LIVESHELF_STACK__PROMETHEUS_PORT": "19090",
    "LIVESHELF_FILE": str(ROOT / "liveshelf.toml"),
}


@dataclass
class Stack:
    """The running stack, driven as a user drives it."""

    settings: Settings
    topics: Topics
    cluster: Cluster
    faulty_bundle: Path
    bundle: str = ""

    def liveshelf(self, *words: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a verb in a process of its own."""
        command = [str(Path(sys.executable).parent / "liveshelf"), *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
        assert (done.returncode == 0) == ok, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def serve(self, bundle: Path) -> str:
        """The job runs with this bundle, submitted anew only where another runs; returns its id."""
        jobs = self.cluster.jobs(self.settings.job.name)
        if jobs and self.bundle == str(bundle):
            return str(jobs[0]["jid"])
        for job in jobs:
            self.cluster.cancel(job["jid"])
        answer = json.loads(self.liveshelf("submit", "--bundle", str(bundle), "--json").stdout)
        self.bundle = str(bundle)
        return str(answer["job_id"])

    def restarts(self, job_id: str) -> int:
        """How often the job was restarted since it was submitted."""
        found = self.cluster.get(f"/jobs/{job_id}/metrics?get=numRestarts")
        return int(float(found[0]["value"]))

    def pids(self) -> dict[str, int]:
        """Part -> pid."""
        return Supervisor(self.settings, Layout.of(self.settings)).pids()

    @property
    def shop(self) -> str:
        """Address of the storefront."""
        return f"http://127.0.0.1:{self.settings.storefront.port}"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    before = dict(os.environ)
    os.environ.update(VARIABLES)
    settings = load_settings()
    faulty = write_faulty_bundle(tmp_path_factory.mktemp("faulty") / "bundle")
    running = Stack(settings, Topics(settings.kafka), Cluster(settings.job.rest_url), faulty)
    try:
        running.liveshelf("down", "--purge")
        running.liveshelf("up")
        yield running
    finally:
        running.topics.close()
        if os.environ.get("KEEP_STACK") is None:
            running.liveshelf("down", "--purge")
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def demo_bundle() -> Path:
    return ROOT / "models" / "online-retail"


@pytest.fixture
def job(stack: Stack, demo_bundle: Path) -> str:
    """The id of the job that serves the demo's bundle."""
    return stack.serve(demo_bundle)
