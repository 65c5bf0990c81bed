"""A backup under load, everything lost, restored into an empty stack, and compared with the oracle."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults.oracle import Oracle
from operators.records.contracts import DEAD_LETTERS, ERASURES, EVENTS, EXAMPLES, ITEMS, RECEIPTS, RECOMMENDATIONS
from operators.refresh.refresh_records import DIGEST_HEADER
from operators.time_units import DAY_MS
from pipelines.backup.backup import take_backup
from pipelines.backup.backup_folder import sums
from pipelines.submission.cluster import Cluster
from pipelines.topics.topic_admin import ensure_topics
from pipelines.topics.topic_archive import Archived, export_records, read_archive
from tests.bad_records import good_event
from tests.faults.conftest import record
from tests.faults.test_state import Shoppers
from tests.running_stack import BROKER, EXACTLY_ONCE, Stack
from tests.stack.topics import eventually

pytestmark = pytest.mark.manual
WEEK_AND_A_DAY_MS = 8 * DAY_MS


def view(stack: Stack, user: str, number: int, **more: Any) -> None:
    now = int(time.time() * 1000)
    event = good_event(now, event_id=f"{user}-{number}", user_id=user, item_id=("22423", "85123A")[number % 2], **more)
    stack.topics.publish([event])


def erase(stack: Stack, user: str) -> None:
    request = {"user_id": user, "requested_at": int(time.time() * 1000), "erasure_id": f"of-{user}"}
    stack.topics.send(ERASURES, user, request)
    stack.topics.producer.flush()


def newest(stack: Stack, user: str) -> Any:
    return stack.topics.newest_lists().get(user, ("none yet",))[0]


def keys(stack: Stack, topic: str, start: Any, *, tombstones: bool = False) -> set[str]:
    records = stack.topics.read(topic, start)
    return {record.key.decode() for record in records if not tombstones or record.value is None}


def while_it_saves(root: Path, act: Callable[[], None]) -> threading.Thread:
    """Acts between the savepoint of the next backup and the export of its topics."""

    def wait_and_act() -> None:
        eventually(lambda: [*root.glob(".backup-*.part/savepoint/_metadata")], 120)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


def test_a_backup_is_restored_into_an_empty_stack(stack: Stack, job: str, demo_bundle: Path, tmp_path: Path) -> None:
    shoppers, tag = Shoppers(stack, "backup"), f"erased{time.time_ns()}"
    returned, between = f"{tag}-returned", f"{tag}-between"
    for user in (returned, between):
        view(stack, user, 0)
    erase(stack, returned)
    eventually(lambda: newest(stack, returned) is None)
    view(stack, returned, 1)
    eventually(lambda: newest(stack, returned))
    eventually(lambda: newest(stack, between))
    shoppers.act(20_000)

    def erase_one() -> None:
        view(stack, between, 1)
        erase(stack, between)

    acting = while_it_saves(tmp_path, erase_one)
    other = {"LIVESHELF_BUNDLE__PATH": str(stack.faulty_bundle)}
    saved = json.loads(stack.liveshelf("backup", str(tmp_path), "--keep", "2", "--json", variables=other).stdout)
    acting.join()
    folder = Path(saved["folder"])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["bundle"][0] == "online-retail", "the bundle that serves, not the one of the settings"
    erasures = {one.value: one for one in read_archive(folder / "topics" / f"{ERASURES}.jsonl.gz") if one.value}
    (late,) = [one for value, one in erasures.items() if between.encode() in value]
    assert late.offset >= manifest["offsets"].get(f"{ERASURES}-{late.partition}", 0), "it was to be after the savepoint"
    oracle = shoppers.oracle()
    stack.lose_everything()
    answer = json.loads(stack.liveshelf("restore", str(folder), "--json").stdout)
    assert answer["records"] == {EXAMPLES: 0, ITEMS: 0} | saved["records"], "a job without feedback join and demand"
    stack.serving = (str(folder / "bundle"), {})
    ends = dict.fromkeys(stack.topics.ends(RECOMMENDATIONS), 0)
    for one in read_archive(folder / "topics" / f"{RECOMMENDATIONS}.jsonl.gz"):
        ends[next(place for place in ends if place.partition == one.partition)] += 1
    assert keys(stack, RECOMMENDATIONS, ends, tombstones=True) == {between}, (
        "erased again: who was not yet, nobody else"
    )
    assert newest(stack, between) is None
    assert newest(stack, returned)
    assert f"of-{between}" in keys(stack, RECEIPTS, {})
    shoppers.start_anew(oracle)
    shoppers.check(
        "backup, everything lost, restore: states and lists",
        f"{sum(saved['records'].values())} records back;",
        struck="every disk emptied",
    )
    shoppers.act(5000)
    shoppers.check("the shop goes on after the restore")
    stack.liveshelf("stop")
    stack.liveshelf("resume", "--bundle", str(demo_bundle))
    stack.serving = (str(demo_bundle), {})
    shoppers.act(5000)
    shoppers.check("stopped and resumed after the restore")
    said = stack.liveshelf("restore", str(folder), ok=False).stderr
    assert "empty topic" in said, "a stack that holds something is left alone"


def as_of_last_week(folder: Path, tag: str) -> None:
    """The backup as it would be if all of it had happened eight days earlier. Lists of the test's users that the job had
    made before the export are left out: they say today in their epoch."""
    records = {}
    for file in (folder / "topics").iterdir():
        topic = file.name.removesuffix(".jsonl.gz")
        kept = [one for one in read_archive(file) if topic != RECOMMENDATIONS or not of_test(one, tag)]
        export_records([earlier(topic, one) for one in kept], file)
        records[topic] = len(kept)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"made_at": manifest["made_at"] - WEEK_AND_A_DAY_MS // 1000, "files": sums(folder), "records": records}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def of_test(one: Archived, tag: str) -> bool:
    return (one.key or b"").startswith(tag.encode())


def earlier(topic: str, one: Archived) -> Archived:
    one.timestamp -= WEEK_AND_A_DAY_MS
    if topic == EVENTS:
        event = json.loads(one.value)
        one.value = json.dumps(event | {"event_time": event["event_time"] - WEEK_AND_A_DAY_MS}).encode()
    return one


def test_a_backup_of_last_week_loses_no_event_of_then(
    stack: Stack, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention would remove such events before the job has read them, and their age is that of when they came."""
    tag = f"week{time.time_ns()}"
    users, erased = [f"{tag}-{n}" for n in range(200)], f"{tag}-erased"
    taken = Cluster.savepoint

    def taken_then_acted(self: Cluster, job_id: str) -> str:
        location = taken(self, job_id)
        for number in range(3):
            for user in (*users, erased):
                view(stack, user, number)
        erase(stack, erased)
        return location

    with monkeypatch.context() as patch:
        patch.setattr(Cluster, "savepoint", taken_then_acted)
        folder = take_backup(stack.settings, tmp_path, None, keep=1)
    as_of_last_week(folder, tag)
    # a broker that looks for old records at once and all the time
    impatient = {"log.retention.check.interval.ms": "200", "log.initial.task.delay.ms": "100"}
    monkeypatch.setenv("LIVESHELF_STACK__BROKER", json.dumps(BROKER | impatient))
    stack.lose_everything()
    stack.serving = ("a restored bundle", {})
    begun = time.monotonic()
    answer = json.loads(stack.liveshelf("restore", str(folder), "--json").stdout)
    seconds = time.monotonic() - begun
    assert answer["records"][EVENTS] >= 3 * (len(users) + 1)
    lists = eventually(lambda: of_all(stack, users, 3), 60)
    oracle = Oracle(stack.settings, read_archive(folder / "topics" / f"{EVENTS}.jsonl.gz"))
    assert oracle.outcomes["dead"] == 0
    digests = oracle.digests(users)
    assert {user: lists[user][1][DIGEST_HEADER].decode() for user in users} == digests
    assert stack.topics.read(DEAD_LETTERS) == [], "too old is what was too old when it came"
    assert newest(stack, erased) is None
    assert [state.name for state in ensure_topics(stack.settings.kafka) if state.differs] == []
    eventually(lambda: not stack.topics.read(EVENTS), 60)  # now they may go, and do
    note = f"{answer['records'][EVENTS]} events of 8 days ago, none lost, none refused; back in {seconds:.0f} s"
    record({"name": "backup of last week restored", "note": note, "kept": True})
    view(stack, users[0], 3)
    eventually(lambda: of_all(stack, users[:1], 4), 30)


def of_all(stack: Stack, users: list[str], version: int) -> Any:
    lists = stack.topics.newest_lists()
    return all(user in lists and lists[user][0]["version"] == version for user in users) and lists


def test_a_backup_of_a_job_that_delivers_exactly_once_is_restored(
    stack: Stack, demo_bundle: Path, tmp_path: Path
) -> None:
    """The savepoint holds transactions that the new broker has never heard of."""
    stack.serve(demo_bundle, EXACTLY_ONCE)
    shoppers = Shoppers(stack, "once", users=500)
    shoppers.act(4000)
    saved = json.loads(stack.liveshelf("backup", str(tmp_path), "--json", variables=EXACTLY_ONCE).stdout)
    oracle = shoppers.oracle()
    stack.lose_everything()
    stack.serving = ("a restored bundle", EXACTLY_ONCE)
    answer = json.loads(stack.liveshelf("restore", saved["folder"], "--json", variables=EXACTLY_ONCE).stdout)
    shoppers.start_anew(oracle)
    shoppers.check("backup of exactly once, everything lost, restore")
    shoppers.act(1000)
    shoppers.check("the shop goes on, exactly once, after the restore")
    assert stack.restarts(answer["job_id"]) == 0
