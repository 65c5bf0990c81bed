"""Real orders through the real job equal a single-process replay, straight and through a stop and a restore."""

import random
import socket
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.faults.oracle import Oracle
from deploy.local.flink.flink_home import process_environment
from model_export.data.online_retail import LAST_MONTH, catalogue, events
from operators.errors import ClusterError
from operators.records.contracts import CATALOGUE, EVENTS, encode_record
from operators.refresh.refresh_records import DIGEST_HEADER
from pipelines.submission import launcher
from pipelines.submission.launcher import AlterShip
from tests.running_stack import Stack, replaced
from tests.stack.topics import eventually

ORDERS = 6000


@pytest.fixture(scope="module")
def with_catalogue(stack: Stack) -> None:
    """The shop's catalogue, with one product in fifty out of stock."""
    for number, item in enumerate(catalogue()):
        item.in_stock = number % 50 != 0
        stack.topics.send(CATALOGUE, item.item_id, encode_record(item))
    stack.topics.producer.flush()


def orders(tag: str, start: int, count: int) -> list[dict[str, Any]]:
    """Real order events of `tag` users at today's time, one in ten sent twice, neighbours sometimes swapped."""
    chance, now, found = random.Random(start), int(time.time() * 1000), []
    for number, event in enumerate(islice(events(start_ms=LAST_MONTH), start, start + count)):
        event.event_id, event.user_id = f"{tag}-{event.event_id}", f"{tag}-{event.user_id}"
        event.event_time = now + number
        found.append(msgspec.json.decode(encode_record(event)))
        if chance.random() < 0.1:
            found.append(found[-1])
        if chance.random() < 0.1 and len(found) > 1:
            found[-1], found[-2] = found[-2], found[-1]
    return found


def check(stack: Stack, bundle: Path, tag: str) -> Oracle:
    """Versions, state digests and items of all users of `tag` equal the oracle's."""
    oracle = Oracle(stack.settings, stack.topics.read(EVENTS))
    users = [user for user in oracle.states if user.startswith(f"{tag}-")]
    versions = oracle.versions(users)

    def caught_up() -> dict[str, Any] | None:
        lists = stack.topics.newest_lists()
        behind = [
            user for user in users if (lists.get(user, (None, {}))[0] or {"version": 0})["version"] < versions[user]
        ]
        return None if behind else lists

    lists = eventually(caught_up, 60)
    assert {user: lists[user][0]["version"] for user in users} == versions
    assert {user: lists[user][1][DIGEST_HEADER].decode() for user in users} == oracle.digests(users)
    expected = oracle.items(users, bundle, stack.settings, stack.topics.read(CATALOGUE), int(time.time() * 1000))
    for user in users:
        got = [(item["item_id"], item["score"]) for item in lists[user][0]["items"]]
        assert [item for item, _ in got] == [item for item, _ in expected[user]], user
        assert all(abs(a - b) <= 1e-3 for (_, a), (_, b) in zip(got, expected[user], strict=True)), user
    assert {lists[user][0]["source"] for user in users} <= {"model", "popular"}
    return oracle


def test_the_job_makes_what_an_offline_run_makes(
    stack: Stack, job: str, demo_bundle: Path, with_catalogue: None, no_restart: None
) -> None:
    time.sleep(2)  # the catalogue reaches the operator's table
    sent = stack.topics.publish(orders("straight", 0, ORDERS))
    oracle = check(stack, demo_bundle, "straight")
    assert oracle.outcomes["duplicate"] > ORDERS / 20
    assert sum(oracle.outcomes[name] for name in ("applied", "duplicate", "dead")) == oracle.outcomes["read"] >= sent


@dataclass(frozen=True)
class Resumption:
    """What the job held before it was stopped, and whether its port was free before it was submitted again."""

    table_folders: set[str]
    port_freed: bool


@pytest.fixture(scope="module")
def resumption(stack: Stack, demo_bundle: Path, with_catalogue: None) -> Resumption:
    """The job stopped with a savepoint and submitted from it, with orders before and meanwhile."""
    stack.serve(demo_bundle)
    port, folders, found = stack.settings.job.metrics_port, table_folders(stack), orders("resumed", ORDERS, 3000)
    assert listens(port) and folders
    stack.topics.publish(found[:1500])
    location = stop(stack)
    freed = eventually(lambda: not listens(port))
    stack.topics.publish(found[1500:])
    stack.liveshelf("submit", "--bundle", str(demo_bundle), "--from-savepoint", location)
    return Resumption(folders, freed)


def stop(stack: Stack) -> str:
    """The job's savepoint."""
    return str(msgspec.json.decode(stack.liveshelf("stop", "--json").stdout)["savepoint"])


def test_stopped_with_a_savepoint_and_resumed_it_still_does(
    stack: Stack, resumption: Resumption, demo_bundle: Path
) -> None:
    check(stack, demo_bundle, "resumed")


def test_a_stopped_job_gives_back_its_port_its_threads_and_its_table(stack: Stack, resumption: Resumption) -> None:
    """PyFlink does not call close() then; what is left behind would pile up in the TaskManager's interpreter."""
    port = stack.settings.job.metrics_port
    assert resumption.port_freed
    assert listens(port)
    assert not listens(port + 1), "the next job takes the same port, not the next"
    assert table_folders(stack) == resumption.table_folders, "and the same table folder"


def table_folders(stack: Stack) -> set[str]:
    return {folder.name for folder in stack.layout.tables.iterdir() if folder.is_dir()}


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def savepoint(stack: Stack, demo_bundle: Path) -> str:
    """Of the job, which is stopped for the tests below: none of them may start it."""
    stack.serve(demo_bundle)
    return stop(stack)


def submit_altered(stack: Stack, bundle: Path, savepoint: str, alter: AlterShip) -> None:
    environment = process_environment(stack.layout)
    launcher.submit(stack.settings, environment, bundle, savepoint=savepoint, alter_ship=alter)


@pytest.mark.slow
def test_a_savepoint_of_another_execution_mode_is_refused(stack: Stack, savepoint: str, demo_bundle: Path) -> None:
    """The mode is part of the operator's uid, so state of another mode is another operator's state to Flink."""
    alter = replaced("pipelines/job/engine.py", 'f"user-state-{EXECUTION_MODE}"', '"user-state-process"')
    with pytest.raises(ClusterError, match="execution mode"):
        submit_altered(stack, demo_bundle, savepoint, alter)


@pytest.mark.slow
def test_submit_shows_the_python_error_of_a_failing_operator(stack: Stack, savepoint: str, demo_bundle: Path) -> None:
    alter = replaced("pipelines/job/refresh_function.py", 'configure("operator")', 'configure("operator" + 1)')
    with pytest.raises(ClusterError, match="TypeError") as failed:
        submit_altered(stack, demo_bundle, savepoint, alter)
    assert "refresh_function.py" in str(failed.value)
    assert not stack.cluster.jobs(stack.settings.job.name), "a job that never ran does not go on trying"
    stack.liveshelf("submit", "--bundle", str(demo_bundle), "--from-savepoint", savepoint)
