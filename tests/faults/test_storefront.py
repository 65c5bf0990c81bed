"""The reader: killed while it writes its view, its disk full, its view deleted or damaged."""

import shutil
import time
from pathlib import Path

import httpx
import pytest

from benchmarks.faults.evidence import Strike
from benchmarks.faults.fault import Fault
from benchmarks.faults.verdict import Verdict
from tests.faults.conftest import Trial, record
from tests.running_stack import Stack
from tests.stack.topics import eventually

pytestmark = pytest.mark.manual


def view(stack: Stack) -> Path:
    return stack.layout.tables / "storefront" / "lists"


def check_view(stack: Stack, name: str, note: str, struck: str = "") -> None:
    """Every list of the topic is what the storefront serves."""
    lists = {user: made for user, (made, _) in stack.topics.newest_lists().items() if made}
    chosen = sorted(lists)[:: max(1, len(lists) // 500)]
    assert chosen, "somebody must have a list"

    def differ() -> int:
        wrong = 0
        for user in chosen:
            answer = httpx.get(f"{stack.shop}/v1/users/{user}/recommendations")
            wrong += answer.status_code != 200 or answer.json()["version"] != lists[user]["version"]
        return wrong

    eventually(lambda: httpx.get(f"{stack.shop}/readyz").status_code == 200, 60)
    eventually(lambda: differ() == 0, 30)
    record({"name": name, "users": len(chosen), "lost": 0, "struck": struck, "note": note, "verdict": Verdict.KEPT})


def answers(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.shop}/healthz", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def test_storefront_killed_while_it_writes_its_view(trial: Trial, stack: Stack) -> None:
    faults = [Fault("kill", "storefront", at_s=at) for at in (4, 10, 16)]
    trial("storefront killed 3 times", *faults, seconds=25, restarts=False)
    check_view(stack, "storefront killed 3 times: its view", "500 users equal the topic")


def test_storefronts_disk_is_full(trial: Trial, stack: Stack) -> None:
    if "tables" not in stack.small_disks:
        pytest.skip("a small file system needs the right to mount a tmpfs")

    def kill_meanwhile(begun: float) -> Strike:
        """Its view is in memory until there is enough of it: only a storefront that starts needs its disk at once."""
        time.sleep(max(0.0, begun + 8 - time.monotonic()))
        assert answers(stack), "it serves its last view"
        at, died = time.monotonic(), stack.injector.victim("storefront").kill()
        return Strike("kill storefront", died, at, time.monotonic())

    disk = str(stack.small_disks["tables"])
    trial("storefront's disk full", Fault("fill", disk, at_s=3, for_s=20), during=kill_meanwhile, restarts=False)
    check_view(stack, "storefront's disk full: its view", "it goes on by itself when there is room")


def test_its_view_is_deleted_under_it(stack: Stack, job: str) -> None:
    with stack.supervisor.stopped("storefront"):
        shutil.rmtree(view(stack))
        struck = "" if view(stack).exists() else "the folder is gone"
    eventually(lambda: answers(stack), 60)
    begun = time.monotonic()
    check_view(stack, "storefront's view deleted", f"built anew in {time.monotonic() - begun:.0f} s", struck)


def test_its_view_is_damaged(stack: Stack, job: str) -> None:
    damaged = 0
    with stack.supervisor.stopped("storefront"):
        for file in view(stack).iterdir():
            if file.name.startswith("MANIFEST") or file.suffix == ".sst":
                content = bytearray(file.read_bytes())
                content[: len(content) // 2] = b"\xff" * (len(content) // 2)
                file.write_bytes(content)
                damaged += 1
    assert damaged, "a file must have been damaged"
    eventually(lambda: answers(stack), 60)
    check_view(stack, "storefront's view damaged", "found at open and built anew", f"{damaged} files damaged")
