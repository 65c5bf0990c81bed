"""A measurement's stack must stay as it was: every way in which it does not is said."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from benchmarks.measuring.conditions import Parts, SameJob, ServedBundle, Sources, too_many_fallbacks
from operators.model.model_bundle import ModelBundle
from tests.benchmarks.fakes import Cluster, Says, parts

PARENT = "import subprocess, sys; one = subprocess.Popen(['sleep', '60']); print(one.pid, flush=True); one.wait(); sys.stdin.read()"


@pytest.fixture
def family() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process and the pid of its child."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    yield parent, child
    for pid in (child, parent.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    parent.communicate()


def test_a_stack_that_stays_as_it_was_breaks_nothing(family: tuple[subprocess.Popen[str], int]) -> None:
    interval = Parts(lambda: {"taskmanager-0": family[0].pid}).from_now()
    assert interval.find_violations() == [] and interval.find_fallbacks() == []
    assert interval.cpu_s()["taskmanager-0"] >= 0


def test_a_part_that_has_another_pid_or_none_is_said() -> None:
    now = {"kafka": os.getpid(), "zookeeper": os.getpid()}
    interval = Parts(lambda: dict(now)).from_now()
    now["kafka"] = 1
    del now["zookeeper"]
    assert interval.find_violations() == [
        f"kafka was restarted (pid {os.getpid()}, then 1)", f"zookeeper was restarted (pid {os.getpid()}, then none)"
    ]  # fmt: skip


def test_a_child_that_ended_is_said_and_its_cpu_stays(family: tuple[subprocess.Popen[str], int]) -> None:
    parent, child = family
    interval = Parts(lambda: {"taskmanager-0": parent.pid}).from_now()
    before = interval.cpu_s()["taskmanager-0"]
    os.kill(child, signal.SIGKILL)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(child).wait(5)
    assert interval.find_violations() == [f"taskmanager-0 lost its process sleep {child}"]
    assert interval.cpu_s()["taskmanager-0"] >= before


def test_a_part_that_is_gone_has_used_no_known_cpu(family: tuple[subprocess.Popen[str], int]) -> None:
    parent, child = family
    interval = Parts(lambda: {"kafka": parent.pid}).from_now()
    os.kill(child, signal.SIGKILL)
    parent.communicate()
    assert interval.cpu_s()["kafka"] != interval.cpu_s()["kafka"], "NaN, and no negative seconds"


def test_one_job_that_runs_on_breaks_nothing() -> None:
    assert SameJob(Cluster("liveshelf", "liveshelf-floor"), "liveshelf", ["liveshelf-floor"]).find_violations() == []


def same_job(change: Callable[[Cluster], object], *names: str) -> list[str]:
    cluster = Cluster(*names)
    check = SameJob(cluster, "liveshelf")  # type: ignore[arg-type]
    change(cluster)
    return check.find_violations()


@pytest.mark.parametrize(
    ("names", "change", "expected"),
    [
        ([], lambda cluster: None, "0 jobs named liveshelf ran"),
        (["liveshelf", "liveshelf"], lambda cluster: None, "2 jobs named liveshelf ran"),
        (["liveshelf", "other"], lambda cluster: None, "another job runs on the cluster: other"),
        (["liveshelf"], lambda cluster: cluster.running.clear(), "another one at the end: none"),
        (["liveshelf"], lambda cluster: cluster.failures.append({"timestamp": 1}), "the job was restarted"),
        (["liveshelf"], lambda cluster: setattr(cluster, "tasks_run", False), "not all tasks of the job ran"),
    ],
)
def test_a_job_that_is_not_the_one_that_began_is_said(
    names: list[str], change: Callable[[Cluster], object], expected: str
) -> None:
    (reason,) = same_job(change, *names)
    assert expected in reason


def test_a_cluster_that_does_not_answer_at_the_end_is_said() -> None:
    cluster = Cluster("liveshelf")
    interval = Parts(lambda: {}, lambda: [SameJob(cluster, "liveshelf")]).from_now()  # type: ignore[arg-type]
    cluster.running = None
    assert interval.find_violations() == ["the job could not be asked: refused"]


def test_checks_are_taken_at_the_beginning() -> None:
    interval = Parts(lambda: {}, lambda: [Says(["a"]), Says(["b"])]).from_now()
    assert interval.find_violations() == ["a", "b"]


PAGE = """# TYPE liveshelf_model_info gauge
liveshelf_model_info{name="demo",version="1"} 1.0
liveshelf_model_info{name="demo",version="2"} 0.0
# TYPE liveshelf_lists counter
liveshelf_lists_total{source="model",arm="control"} 90.0
liveshelf_lists_total{source="model",arm="other"} 9.0
liveshelf_lists_total{source="popular",arm="control"} 1.0
"""


@pytest.fixture
def operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One operator with this page of metrics."""
    (tmp_path / "operator-0.json").write_text(json.dumps([{"targets": ["127.0.0.1:1"]}]))
    page = [PAGE]
    monkeypatch.setattr(
        "pipelines.submission.operator_totals.httpx.get", lambda *_, **__: SimpleNamespace(text=page[0])
    )
    return page


def bundle(version: str) -> ModelBundle:
    return SimpleNamespace(name="demo", version=version)  # type: ignore[return-value]


def test_the_bundle_that_serves_is_asked_for(operators: list[str], tmp_path: Path) -> None:
    assert ServedBundle(tmp_path, bundle("1")).find_violations() == []
    for other_version in ("2", "3"):
        assert ServedBundle(tmp_path, bundle(other_version)).find_violations() == [
            f"no running operator serves the bundle demo {other_version}"
        ]
    assert ServedBundle(tmp_path / "none", bundle("1")).find_violations(), "no operator at all"


def test_lists_that_the_model_did_not_make_are_counted(operators: list[str], tmp_path: Path) -> None:
    sources = Sources(tmp_path)
    operators[0] = PAGE.replace("90.0", "290.0").replace("1.0\n", "9.0\n")
    assert sources.since() == {"model": 200, "neighbours": 0, "popular": 8}
    assert too_many_fallbacks(sources.since()) == ["8 of 208 lists were fallbacks"]
    assert too_many_fallbacks({"model": 99, "popular": 1}) == too_many_fallbacks({}) == []
    assert parts(model=10, popular=90).from_now().find_fallbacks() == ["90 of 100 lists were fallbacks"]
