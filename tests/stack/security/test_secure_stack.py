"""On a stack of `up --secure` (SECURE_STACK=1): lists flow, and no secret is where anybody could look."""

import contextlib
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from operators.configuration.secret_files import secret
from operators.records.contracts import RECOMMENDATIONS
from tests.bad_records import good_event
from tests.running_stack import SECURE, Stack
from tests.stack.topics import eventually

pytestmark = pytest.mark.skipif(not SECURE, reason="the stack is not secure; make test-secure")
CHUNK = 1 << 20
JOB_PAGES = ("", "/plan", "/config", "/exceptions", "/checkpoints", "/checkpoints/config", "/jobmanager/config")


@pytest.fixture
def secrets(stack: Stack) -> set[bytes]:
    """Every password, and the middle of every private key."""
    folder = stack.layout.secrets
    found = {secret(str(file), "x").encode() for file in folder.glob("*.password")}
    for file in ("ca.key", "broker.pem"):
        found.add((folder / file).read_bytes().split(b"\n")[1])
    assert len(found) == 9
    return found


@pytest.fixture
def listed(stack: Stack, job: str) -> str:
    """The job has answered an event, so everything is in use."""
    return answered(stack, "secure")


def answered(stack: Stack, user: str) -> str:
    start = stack.topics.ends(RECOMMENDATIONS)
    stack.topics.publish([good_event(int(time.time() * 1000), event_id=f"{user}-{time.time_ns()}", user_id=user)])
    eventually(lambda: user in stack.topics.newest_lists(start), 60)
    return user


def test_no_file_but_the_secrets_themselves_holds_one(stack: Stack, listed: str, secrets: set[bytes]) -> None:
    assert not holders(stack, secrets)
    for file in (*stack.layout.secrets.iterdir(), stack.layout.data / "secure.toml"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(stack.layout.secrets.stat().st_mode) == 0o700


def test_no_page_shows_one(stack: Stack, listed: str, secrets: set[bytes]) -> None:
    pages = dict(answers(stack))
    assert len(pages) > 20
    assert not {url for url, body in pages.items() for one in secrets if one in body}
    assert any(b"DirectoryConfigProvider" in body or b"refresh" in body for body in pages.values()), (
        "the job's own pages"
    )


def test_no_command_line_and_no_environment_has_one(stack: Stack, listed: str, secrets: set[bytes]) -> None:
    pids = stack.supervisor.pids().values()
    processes = [p for pid in pids for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    assert len(processes) >= 8
    for process in processes:
        said = " ".join([*process.cmdline(), *process.environ().values()]).encode()
        assert not [one for one in secrets if one in said], process


def test_the_job_is_its_own_user_and_storefront_and_monitor_are_theirs(stack: Stack, listed: str) -> None:
    text = (stack.layout.data / "supervisord.conf").read_text()
    for part in ("storefront", "monitor"):
        assert f"secrets/{part}.password" in text
    eventually(lambda: httpx.get(f"{stack.shop}/readyz").status_code == 200)
    event = good_event(int(time.time() * 1000), event_id=f"http-{time.time_ns()}", user_id="secure-http")
    assert httpx.post(f"{stack.shop}/v1/events", json=event, timeout=20).status_code == 202
    eventually(lambda: httpx.get(f"{stack.shop}/v1/users/secure-http/recommendations").json()["known"])


def test_a_password_of_the_environment_travels_unseen(stack: Stack, demo_bundle: Path) -> None:
    """It lies in the job's graph, which Flink stores: in files of its owner alone, and on no page."""
    password = secret(str(stack.layout.secrets / "job.password"), "x")
    prefix = "LIVESHELF_KAFKA__SECURITY__JOB__"
    stack.serve(demo_bundle, {f"{prefix}USERNAME": "job", f"{prefix}PASSWORD": password, f"{prefix}PASSWORD_FILE": ""})
    answered(stack, "secure-environment")
    assert not {url for url, body in answers(stack) if password.encode() in body}
    found = holders(stack, {password.encode()})
    assert found, "Flink's storage of jobs: the search would find one elsewhere too"
    assert not [file for file in found if file.suffix == ".log" or stat.S_IMODE(file.stat().st_mode) & 0o077], found
    stack.serve(demo_bundle)


def holders(stack: Stack, secrets: set[bytes]) -> list[Path]:
    """Files of the data folder that hold a secret, without the folder of the secrets."""
    return [
        file
        for file in stack.layout.data.rglob("*")
        if file.is_file()
        and not file.is_symlink()
        and stack.layout.secrets not in file.parents
        and holds(file, secrets)
    ]


def holds(file: Path, secrets: set[bytes]) -> bool:
    longest, tail = max(map(len, secrets)), b""
    try:
        with file.open("rb") as content:
            while chunk := content.read(CHUNK):
                if any(one in tail + chunk for one in secrets):
                    return True
                tail = chunk[-longest:]
    except FileNotFoundError:  # Flink and RocksDB tidy up
        pass
    return False


def answers(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """What Flink's REST interface, the storefront, the supervisor and Prometheus show to whoever asks."""
    rest, settings = stack.settings.job.rest_url, stack.settings
    pages = [f"{rest}/{page}" for page in ("config", "overview", "jobs/overview", "taskmanagers", "jobmanager/config")]
    pages += [f"{rest}/jobmanager/{page}" for page in ("environment", "logs", "log", "stdout", "thread-dump")]
    for job in stack.cluster.jobs():
        pages += [f"{rest}/jobs/{job['jid']}{page}" for page in JOB_PAGES]
    for manager in httpx.get(f"{rest}/taskmanagers").json()["taskmanagers"]:
        pages += [f"{rest}/taskmanagers/{manager['id']}{page}" for page in ("", "/logs", "/log", "/stdout")]
    pages += [f"{stack.shop}{page}" for page in ("/readyz", "/metrics", "/v1/ops", "/openapi.json")]
    pages += [
        f"http://127.0.0.1:{settings.stack.prometheus_port}/api/v1/{page}" for page in ("targets", "status/config")
    ]
    pages += [f"http://127.0.0.1:{settings.monitor.port}/metrics"]
    for page in pages:
        with contextlib.suppress(httpx.ConnectError):  # Prometheus is not installed everywhere
            yield page, httpx.get(page, timeout=20).content
