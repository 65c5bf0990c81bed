"""`liveshelf submit` to a cluster that somebody else runs: another folder, another virtual environment, https."""

import dataclasses
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from pipelines.submission.cluster import Cluster
from tests.bad_records import good_event
from tests.listeners import family
from tests.running_stack import ROOT, Stack
from tests.second_cluster import INGRESS_PORT, PREFIX, SECRET, USER, SecondCluster, second_cluster
from tests.stack.topics import eventually

pytestmark = pytest.mark.slow
NAME = {
    "LIVESHELF_JOB__NAME": "remote",
    "LIVESHELF_SCORER__METRICS_PORT": "19330",
    "LIVESHELF_JOB__METRICS_PORT": "19310",
}
REFUSED_S = 10


@pytest.fixture(scope="module")
def remote(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondCluster]:
    for job in stack.cluster.jobs():
        stack.cluster.cancel(job["jid"])
    stack.serving = ("", {})
    with second_cluster(tmp_path_factory.mktemp("other"), stack.layout.jars) as running:
        yield running


def through_ingress(remote: SecondCluster, password: str = SECRET) -> SecondCluster:
    """The same cluster by the ingress' address: https with a user, a password and a path."""
    url = f"https://{USER}:{quote(password)}@127.0.0.1:{INGRESS_PORT}{PREFIX}"
    return dataclasses.replace(remote, rest_url=url)


def list_after_a_click(stack: Stack, user: str, version: int) -> dict[str, object]:
    """The user's list once it has this version."""
    now = int(time.time() * 1000)
    stack.topics.publish([good_event(now, event_id=f"{user}{version}", user_id=user, item_id="85123A")])

    def newest() -> dict[str, object] | None:
        made = (stack.topics.newest_lists().get(user) or (None,))[0]
        return made if made and made["version"] == version else None

    return eventually(newest, 60)  # type: ignore[no-any-return]


def test_a_job_of_another_cluster_uses_nothing_of_the_submitters_machine(
    stack: Stack, remote: SecondCluster, tmp_path: Path
) -> None:
    own = remote.variables | NAME | {"TMPDIR": str(tmp_path)}
    begun = time.monotonic()
    answer = json.loads(stack.liveshelf("submit", "--fresh", "--json", variables=own).stdout)
    print(f"submitted over https in {time.monotonic() - begun:.0f} s")
    assert answer["rest_url"] == remote.rest_url
    assert list(tmp_path.iterdir()) == [], "stores of certificates and the shipped zip are gone"
    assert list_after_a_click(stack, "far-anna", 1)["source"] == "model"

    cluster = Cluster(remote.job_settings)
    assert [job["name"] for job in cluster.jobs()] == ["remote"]
    assert not stack.cluster.jobs(), "the local stack has no part in it"
    written = eventually(lambda: cluster.get(f"/jobs/{answer['job_id']}/checkpoints")["latest"]["completed"], 60)
    assert str(remote.folder) in written["external_path"]

    processes = [one for process in remote.processes for one in family(process.pid)]
    assert any("pipelines.scoring.main" in one.cmdline() for one in processes)
    for process in processes:
        seen = [*process.cmdline(), *(entry.path for entry in process.memory_maps()), *process.environ().values()]
        assert [text for text in seen if "/.venv" in text or str(ROOT) in text] == [], process.cmdline()[:3]
    (tables,) = (remote.folder / "flink" / "tmp").glob("liveshelf-*/tables")
    assert tables.name == "tables" and tables.parent.name == f"liveshelf-{os.getuid()}"
    assert stat.S_IMODE(tables.stat().st_mode) == stat.S_IMODE(tables.parent.stat().st_mode) == 0o700


def test_it_is_stopped_and_goes_on_through_an_ingress_with_a_path_and_a_password(
    stack: Stack, remote: SecondCluster
) -> None:
    ingress = through_ingress(remote)
    own = ingress.variables | NAME | {"LIVESHELF_JOB__REST_CERT_FILE": ""}
    stopped = json.loads(stack.liveshelf("stop", "--json", variables=own).stdout)
    assert str(remote.folder) in stopped["savepoint"]
    begun = time.monotonic()
    done = stack.liveshelf("submit", "--from-savepoint", stopped["savepoint"], "--json", variables=own)
    print(f"submitted through the ingress in {time.monotonic() - begun:.0f} s")
    assert quote(SECRET) not in done.stdout + done.stderr and SECRET not in done.stdout + done.stderr
    assert list_after_a_click(stack, "far-anna", 2)["source"] == "model"
    shown = Cluster(ingress.job_settings).get(f"/jobs/{json.loads(done.stdout)['job_id']}/config")
    assert quote(SECRET) not in json.dumps(shown)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"LIVESHELF_JOB__REST_CA_FILE": ""}, "job.rest_ca_file"),
        ({"LIVESHELF_JOB__REST_CERT_FILE": ""}, "certificate"),
        ({"LIVESHELF_JOB__REST_URL": "http://127.0.0.1:18443"}, "job.rest_url"),
        ({"LIVESHELF_JOB__REST_URL": f"https://{USER}:wrong@127.0.0.1:{INGRESS_PORT}{PREFIX}"}, "who are you?"),
    ],
)
def test_a_wrong_way_in_is_said_at_once(
    stack: Stack, remote: SecondCluster, changed: dict[str, str], said: str
) -> None:
    own = remote.variables | NAME | changed
    for verb in (["submit", "--fresh"], ["stop"]):
        begun = time.monotonic()
        refused = stack.liveshelf(*verb, ok=False, variables=own)
        assert time.monotonic() - begun < REFUSED_S
        assert said in refused.stderr and "Traceback" not in refused.stderr


def test_doctor_and_status_speak_of_that_cluster(stack: Stack, remote: SecondCluster) -> None:
    own = remote.variables | NAME
    found = json.loads(stack.liveshelf("doctor", "--json", variables=own).stdout)
    assert "1 TaskManagers" in found["flink"]["says"]
    found = json.loads(stack.liveshelf("status", "--json", variables=own).stdout)
    assert [job["name"] for job in found["jobs"]] == ["remote"]
