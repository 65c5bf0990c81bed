"""Who can reach the running stack: what it listens on, and what of it other users may read."""

import json
import os
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.listeners import Listener, answers, calls_out, family, listeners, machine_addresses
from tests.running_stack import ROOT, Stack

ALLOWED: frozenset[Listener] = frozenset()  # beyond loopback on purpose: nothing
KINDS = [
    (version, kind) for version in (socket.AF_INET, socket.AF_INET6) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
]
PARTS = ("kafka", "zookeeper", "jobmanager", "taskmanager-0", "taskmanager-1", "storefront", "monitor")


@pytest.fixture
def processes(stack: Stack, job: str) -> list[psutil.Process]:
    """supervisord and all below it, with the job's scorer."""
    return family(int((stack.layout.data / "supervisord.pid").read_text()))


@pytest.fixture
def planted() -> Iterator[set[Listener]]:
    """Sockets that the test must find, in this process."""
    opened = [socket.socket(version, kind) for version, kind in KINDS]
    try:
        for one in opened:
            one.bind(("::" if one.family == socket.AF_INET6 else "0.0.0.0", 0))
            if one.type == socket.SOCK_STREAM:
                one.listen()
        yield {Listener(psutil.Process().name(), _kind(one), *one.getsockname()[:2]) for one in opened}
    finally:
        for one in opened:
            one.close()


def _kind(one: socket.socket) -> str:
    return "tcp" if one.type == socket.SOCK_STREAM else "udp"


def test_what_listens_beyond_loopback_would_be_found(planted: set[Listener]) -> None:
    found = {one for one in listeners([psutil.Process()]) if one.reachable}
    assert planted <= found
    tcp = next(one for one in planted if (one.kind, one.host) == ("tcp", "0.0.0.0"))
    assert all(answers(address, tcp.port) for address in machine_addresses())


def test_nothing_listens_beyond_loopback(stack: Stack, processes: list[psutil.Process]) -> None:
    found = listeners(processes)
    assert {one for one in found if one.reachable} <= ALLOWED
    running = stack.supervisor.pids()
    silent = [part for part in PARTS if not listeners([psutil.Process(running[part])])]
    assert not silent, "each part listens somewhere: was it read?"
    assert any("pipelines.scoring.main" in process.cmdline() for process in processes), "the job was read too"


def test_no_process_calls_another_machine(processes: list[psutil.Process]) -> None:
    """A library that reports home would; events, lists and models are the shop's."""
    deadline, found = time.monotonic() + 5, set[str]()
    while time.monotonic() < deadline:
        found |= set(calls_out(processes))
        time.sleep(0.1)
    assert found == set()


def test_no_port_answers_at_another_address_of_this_machine(stack: Stack, processes: list[psutil.Process]) -> None:
    ports = sorted({one.port for one in listeners(processes) if one.kind == "tcp"})
    assert answers("127.0.0.1", stack.settings.storefront.port)
    assert [(host, port) for host in machine_addresses() for port in ports if answers(host, port)] == []


def test_flink_takes_no_jar_over_its_page_and_tells_other_pages_nothing(stack: Stack, job: str) -> None:
    features = stack.cluster.get("/config")["features"]
    assert (features["web-submit"], features["web-cancel"]) == (False, False)
    rest = stack.cluster.rest_url
    refused = httpx.post(f"{rest}/jars/upload", files={"jarfile": ("x.jar", b"PK")})
    assert refused.status_code >= 400
    assert httpx.get(f"{rest}/jars").status_code == 404
    told = httpx.get(f"{rest}/overview", headers={"Origin": "http://evil.example"}).headers
    assert told["access-control-allow-origin"] == rest


def test_a_proxy_of_the_environment_does_not_stand_before_the_stack(stack: Stack, job: str) -> None:
    """One that is dead, and a socks proxy, which httpx cannot speak to without another package."""
    proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}
    found = json.loads(stack.liveshelf("status", "--json", variables=proxies).stdout)
    assert found["healthy"] and [one["id"] for one in found["jobs"]] == [job]


def test_only_its_user_reads_the_stacks_folder(stack: Stack, job: str) -> None:
    """Events, states and lists lie there; what a process makes while it runs too."""
    data = stack.layout.data
    paths = [data, *(Path(at, name) for at, folders, files in os.walk(data) for name in (*folders, *files))]
    open_to_others = []
    for path in paths:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:  # Flink and Kafka delete meanwhile
            continue
        if not stat.S_ISLNK(mode) and mode & 0o077:
            open_to_others.append(f"{stat.filemode(mode)} {path.relative_to(data)}")
    assert open_to_others == []
    assert stat.S_ISSOCK(stack.layout.supervisor_socket.stat().st_mode)
    assert len(paths) > 200


def test_what_a_verb_writes_is_for_its_user_alone(stack: Stack, job: str, tmp_path: Path) -> None:
    out = tmp_path / "made" / "events.jsonl"
    out.parent.mkdir()
    stack.liveshelf("events", "--out", str(out))
    written = [*out.parent.iterdir()]
    assert len(written) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}


def test_processes_leave_nothing_in_the_systems_temporary_folder(stack: Stack, processes: list[psutil.Process]) -> None:
    data, alias = str(stack.layout.data), str(stack.layout.alias)  # a link to it, where its name has a space
    code = (data, str(ROOT), sys.prefix)  # a checkout may lie below /tmp itself
    for process in processes:
        if process.name() == "java":
            option = next(word for word in process.cmdline() if word.startswith("-Djava.io.tmpdir="))
            assert option.split("=")[1].startswith((data, alias))
        opened = [file.path for file in process.open_files() if file.path.startswith(f"{tempfile.gettempdir()}/")]
        assert [path for path in opened if not path.startswith(code)] == []


@pytest.mark.slow
def test_a_job_is_cancelled_over_rest_though_the_page_has_no_button(stack: Stack, job: str) -> None:
    stack.liveshelf("stop", "--no-savepoint")
    stack.serving = ("", {})
    assert not stack.cluster.jobs(stack.settings.job.name)


@pytest.mark.slow
def test_a_submission_leaves_no_file_behind(stack: Stack, demo_bundle: Path, tmp_path: Path) -> None:
    """Flink's client zips what it ships into its temporary folder, and forgets it there."""
    if stack.cluster.jobs(stack.settings.job.name):
        stack.liveshelf("stop", "--no-savepoint")
    stack.liveshelf("resume", "--bundle", str(demo_bundle), variables={"TMPDIR": str(tmp_path)})
    stack.serving = (str(demo_bundle), {})
    assert list(tmp_path.iterdir()) == []
