"""Processes that die, stop, or come back too late."""

import json
import time

import pytest

from benchmarks.faults.evidence import Strike
from benchmarks.faults.fault import Fault
from benchmarks.faults.verdict import Verdict
from tests.faults.conftest import Trial, record
from tests.running_stack import EXACTLY_ONCE, Stack
from tests.stack.topics import eventually


@pytest.fixture(autouse=True)
def all_taskmanagers_are_back(stack: Stack) -> None:
    """A spare waits before each fault."""
    managers = stack.settings.stack.taskmanagers
    eventually(lambda: len(stack.cluster.get("/taskmanagers")["taskmanagers"]) == managers, 60)


def test_taskmanager_killed(trial: Trial, stack: Stack) -> None:
    trial("taskmanager killed", Fault("kill", "taskmanager"), seconds=30)
    eventually(lambda: len(stack.cluster.get("/taskmanagers")["taskmanagers"]) == 2, 60)


@pytest.mark.manual
def test_taskmanager_killed_without_a_spare(trial: Trial, stack: Stack) -> None:
    spare = next(n for n in ("taskmanager-0", "taskmanager-1") if n != stack.injector.working_taskmanager())
    with stack.supervisor.stopped(spare):
        trial("taskmanager killed, no spare", Fault("kill", "taskmanager"))


@pytest.mark.manual
def test_taskmanager_dies_of_a_segfault(trial: Trial) -> None:
    trial("taskmanager segfaults", Fault("segfault", "taskmanager"))


@pytest.mark.manual
def test_taskmanager_paused_past_its_heartbeat_comes_back_as_a_zombie(trial: Trial) -> None:
    trial("taskmanager paused 20 s, zombie", Fault("pause", "taskmanager", for_s=20))


@pytest.mark.manual
def test_jobmanager_killed_three_times(trial: Trial, stack: Stack) -> None:
    faults = [Fault("kill", "jobmanager", at_s=at) for at in (6, 26, 46)]
    trial("jobmanager killed 3 times", *faults, seconds=70)
    left = json.loads(stack.liveshelf("tidy", "--older-than", "5", "--json").stdout)
    note = f"{len(left['files'])} state files, {left['bytes'] / 1e6:.0f} MB, without a checkpoint: removed"
    record({"name": "jobmanager killed 3 times: what Flink left", "note": note, "verdict": Verdict.KEPT})
    trial("taskmanager killed after liveshelf tidy", Fault("kill", "taskmanager"), seconds=60)


@pytest.mark.manual
def test_zookeeper_killed(trial: Trial) -> None:
    trial("zookeeper killed", Fault("kill", "zookeeper"))


@pytest.mark.manual
def test_taskmanagers_killed_one_after_the_other(trial: Trial) -> None:
    faults = [Fault("kill", "taskmanager", at_s=at) for at in (6, 28, 50)]
    trial("taskmanager killed 3 times", *faults, seconds=75)


@pytest.mark.slow
def test_taskmanager_killed_while_lists_are_delivered_exactly_once(trial: Trial) -> None:
    trial("taskmanager killed", Fault("kill", "taskmanager"), seconds=30, variables=EXACTLY_ONCE)


@pytest.mark.manual
def test_taskmanager_killed_between_a_checkpoint_and_its_commit(trial: Trial, stack: Stack) -> None:
    """At once after the JobManager says that a checkpoint is complete: the commit is on its way."""

    def kill_after_a_checkpoint(begun: float) -> Strike:
        time.sleep(max(0.0, begun + 8 - time.monotonic()))
        (job,) = stack.cluster.jobs(stack.settings.job.name)
        path = f"/jobs/{job['jid']}/checkpoints"
        victim, done = stack.injector.victim("taskmanager"), stack.cluster.get(path)["counts"]["completed"]
        while (now := stack.cluster.get(path)["counts"]["completed"]) == done:
            time.sleep(0.002)
        at, died = time.monotonic(), victim.kill()
        return Strike("kill taskmanager", died and f"{died}, after checkpoint {now}", at, time.monotonic())

    trial("taskmanager killed after a checkpoint", during=kill_after_a_checkpoint, variables=EXACTLY_ONCE)


@pytest.mark.manual
def test_a_zombie_cannot_write_while_lists_are_delivered_exactly_once(trial: Trial) -> None:
    """Its transaction was aborted by the job that replaced it, and its producer is fenced."""
    fault = Fault("pause", "taskmanager", for_s=20)
    trial("taskmanager paused 20 s, zombie", fault, seconds=60, variables=EXACTLY_ONCE)


@pytest.mark.manual
def test_jobmanager_killed_while_lists_are_delivered_exactly_once(trial: Trial) -> None:
    trial("jobmanager killed", Fault("kill", "jobmanager"), seconds=50, variables=EXACTLY_ONCE)
