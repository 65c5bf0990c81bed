"""Disks that fill up: the broker's, the checkpoints', the storefront's; and a process that gets no more memory."""

import resource
import time

import psutil
import pytest

from benchmarks.faults.evidence import Strike, struck_now
from benchmarks.faults.fault import Fault
from benchmarks.faults.verdict import Verdict
from tests.faults.conftest import Trial, record
from tests.running_stack import Stack
from tests.stack.topics import eventually

pytestmark = pytest.mark.manual


def small_disk(stack: Stack, name: str) -> str:
    if name not in stack.small_disks:
        record({"name": f"disk of {name} full", "note": "a tmpfs cannot be mounted here", "verdict": Verdict.NOT_RUN})
        pytest.skip("a small file system needs the right to mount a tmpfs")
    return str(stack.small_disks[name])


def test_the_brokers_disk_is_full(trial: Trial, stack: Stack) -> None:
    """The broker stops (Kafka gives up a log folder that cannot be written) and is started until there is room."""
    trial("broker's disk full 15 s", Fault("fill", small_disk(stack, "kafka/data"), for_s=15), seconds=110)


def test_the_checkpoints_disk_is_full(trial: Trial, stack: Stack) -> None:
    """Checkpoints fail and are counted, lists go on."""
    row = trial("checkpoint disk full 20 s", Fault("fill", small_disk(stack, "checkpoints"), for_s=20), restarts=False)
    assert row.silence_s < 5
    (job,) = stack.cluster.jobs(stack.settings.job.name)
    counts = stack.cluster.get(f"/jobs/{job['jid']}/checkpoints")["counts"]
    assert counts["failed"] > 0
    eventually(
        lambda: stack.cluster.get(f"/jobs/{job['jid']}/checkpoints")["counts"]["completed"] > counts["completed"]
    )


def test_the_checkpoints_disk_is_full_when_a_taskmanager_dies(trial: Trial, stack: Stack) -> None:
    folder = small_disk(stack, "checkpoints")
    faults = Fault("fill", folder, at_s=6, for_s=15), Fault("kill", "taskmanager", at_s=22)
    trial("checkpoint disk full, then a kill", *faults, seconds=55)


def test_a_taskmanager_that_gets_no_more_memory(trial: Trial, stack: Stack) -> None:
    """Its address space is closed where it stands: what it allocates next fails, and it dies or is restarted."""
    limited: list[int] = []

    def limit(begun: float) -> Strike:
        time.sleep(max(0.0, begun + 8 - time.monotonic()))
        process = psutil.Process(stack.injector.pid("taskmanager"))
        now = process.memory_info().vms
        process.rlimit(resource.RLIMIT_AS, (now, now))
        limited.append(process.pid)
        held = process.rlimit(resource.RLIMIT_AS)[0] == now
        return struck_now(
            "no more memory", f"pid {process.pid} may map no more than its {now >> 20} MB" if held else ""
        )

    row = trial("taskmanager without more memory", during=limit)
    alive = psutil.pid_exists(limited[0])
    record({"name": "taskmanager without more memory: what became of it", "note": f"alive after the load: {alive}; "
            f"restarts {row.restarts}", "verdict": Verdict.KEPT})  # fmt: skip
    if alive:
        psutil.Process(limited[0]).kill()
        eventually(lambda: len(stack.cluster.get("/taskmanagers")["taskmanagers"]) == 2, 60)
