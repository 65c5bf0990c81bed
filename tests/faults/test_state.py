"""State that is damaged, moved, rescaled, upgraded, refused; offsets that are gone; topics that change."""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from benchmarks.faults.oracle import Oracle
from benchmarks.faults.verdict import Verdict
from deploy.local.flink.flink_home import process_environment
from operators.errors import BrokerError
from operators.records.contracts import EVENTS, RECOMMENDATIONS
from operators.refresh.refresh_records import DIGEST_HEADER
from operators.shopper.user_state import version_of
from pipelines.submission.checkpoints import find_checkpoints
from pipelines.submission.starting_offsets import prepare_start
from tests.bad_records import good_event
from tests.faults.conftest import record
from tests.running_stack import ROOT, Stack
from tests.stack.topics import eventually


class Shoppers:
    """Shoppers whose states and lists must equal the oracle's whatever happens to the job."""

    def __init__(self, stack: Stack, tag: str, users: int = 5000) -> None:
        self._stack, self._users = stack, users
        self._tag = f"{tag}{time.time_ns()}"
        self._start, self._lists = stack.topics.ends(EVENTS), stack.topics.ends(RECOMMENDATIONS)
        self._before: dict[str, bytes] = {}
        self._sent = 0

    def act(self, count: int = 5000) -> None:
        now = int(time.time() * 1000)
        self._stack.topics.publish(
            good_event(
                now,
                event_id=f"{self._tag}-{n}",
                user_id=f"{self._tag}-{n % self._users}",
                item_id=("22423", "85123A", "47566")[n % 3],
            )
            for n in range(self._sent, self._sent + count)
        )
        self._sent += count

    def oracle(self) -> Oracle:
        """A straight replay of all that was sent."""
        return Oracle(self._stack.settings, self._stack.topics.read(EVENTS, self._start), self._before)

    def start_anew(self, known: Oracle) -> None:
        """The topics are others now; what `known` has seen is behind them."""
        self._before, self._start, self._lists = known.states, self._stack.topics.ends(EVENTS), {}

    def check(self, name: str, note: str = "", seconds: float = 90, struck: str = "") -> None:
        """Everyone's newest list and state are those of a straight replay; the row is recorded."""
        begun = time.monotonic()
        oracle = self.oracle()
        wanted = {user: version_of(s) for user, s in oracle.states.items() if user.startswith(self._tag)}

        assert wanted, "somebody must be owed a list"

        def caught_up() -> dict | bool:
            lists = self._stack.topics.newest_lists(self._lists)
            return all(user in lists and lists[user][0]["version"] >= v for user, v in wanted.items()) and lists

        lists = eventually(caught_up, seconds)
        digests = oracle.digests(wanted)
        twice = sum(lists[user][0]["version"] > version for user, version in wanted.items())
        mismatched = sum(lists[user][1][DIGEST_HEADER].decode() != digests[user] for user in wanted)
        kept = not (twice or mismatched)
        row = {"name": name, "events": self._sent, "users": len(wanted), "lost": 0, "counted_twice": twice}
        note = f"{note} all right {time.monotonic() - begun:.0f} s after the last event was read back".strip()
        record(row | {"mismatched": mismatched, "verdict": Verdict.of(kept), "struck": struck, "note": note})
        assert kept


def checkpoints(stack: Stack) -> list[Path]:
    """Checkpoints of the running job, newest first."""
    (job,) = stack.cluster.jobs(stack.settings.job.name)
    return [found.path for found in find_checkpoints(stack.layout.checkpoints / job["jid"])]


def files_of_its_own(newest: Path, other: Path) -> set[Path]:
    """State files that the checkpoint `newest` names and `other` does not; what is small is in the metadata and has none."""
    named, known = ((one / "_metadata").read_bytes() for one in (newest, other))
    files = (newest.parent / "shared").iterdir()
    return {file for file in files if (name := file.name.encode()) in named and name not in known}


def killed_job(
    stack: Stack, tag: str, users: int = 5000, enough: Callable[[list[Path]], bool] = lambda found: len(found) > 2
) -> tuple[Shoppers, list[Path]]:
    """Shoppers with checkpoints that are `enough`, and the job cancelled as if it had died for good."""
    stack.liveshelf("tidy", "--older-than", "5", "--earlier-jobs")  # the checkpoints' disk is a small one
    shoppers = Shoppers(stack, tag, users)
    found: list[Path] = []
    while not enough(found):
        shoppers.act(users)
        newest = checkpoints(stack)[:1]
        eventually(lambda before=newest: checkpoints(stack)[:1] != before, 30)
        found = checkpoints(stack)
    for job in stack.cluster.jobs(stack.settings.job.name):
        stack.cluster.cancel(job["jid"])
    assert not stack.cluster.jobs(stack.settings.job.name)
    shoppers.act(2000)
    return shoppers, found


def resume(stack: Stack, demo_bundle: Path, *words: str) -> dict:
    stack.serving = (str(demo_bundle), {})
    return json.loads(stack.liveshelf("resume", "--bundle", str(demo_bundle), "--json", *words).stdout)


@pytest.mark.slow
def test_a_job_that_died_is_resumed_and_never_started_without_its_state(
    stack: Stack, job: str, demo_bundle: Path
) -> None:
    shoppers, _ = killed_job(stack, "resume")
    said = " ".join(stack.liveshelf("submit", ok=False).stderr.split())
    assert "liveshelf resume" in said
    resume(stack, demo_bundle)
    shoppers.check("job died, resumed", struck="no job on the cluster, submit refused")


@pytest.mark.manual
def test_after_down_and_up_the_job_goes_on_by_itself(stack: Stack, job: str) -> None:
    shoppers = Shoppers(stack, "downup")
    shoppers.act()
    before = stack.supervisor.pids()
    stack.liveshelf("down")
    assert not stack.supervisor.pids()
    stack.liveshelf("up")
    assert not set(before.values()) & set(stack.supervisor.pids().values())
    eventually(lambda: stack.cluster.jobs(stack.settings.job.name) and stack.cluster.running_tasks(job), 60)
    shoppers.act()
    shoppers.check("the whole stack stopped and started", struck=f"{len(before)} processes gone, then others")


@pytest.mark.manual
@pytest.mark.parametrize("damage", ["metadata truncated", "state file flipped", "state file deleted"])
def test_a_damaged_checkpoint_fails_loudly_and_the_one_before_is_used(
    stack: Stack, job: str, demo_bundle: Path, damage: str
) -> None:
    def enough(found: list[Path]) -> bool:
        return len(found) > 2 and bool(files_of_its_own(*found[:2]))

    shoppers, found = killed_job(stack, damage.replace(" ", "-"), 15_000, enough)
    newest = found[0]
    if damage == "metadata truncated":
        metadata = newest / "_metadata"
        metadata.write_bytes(metadata.read_bytes()[: metadata.stat().st_size // 2])
    else:
        for file in files_of_its_own(newest, found[1]):
            if damage == "state file deleted":
                file.unlink()
            else:
                content = bytearray(file.read_bytes())
                for at in range(len(content) // 4, len(content), 97):
                    content[at] ^= 0xFF
                file.write_bytes(content)
    answer = resume(stack, demo_bundle)
    assert str(newest) in answer["refused"], answer
    note = f"refused {len(answer['refused'])}, then {answer['seconds']:.0f} s;"
    shoppers.check(f"newest checkpoint: {damage}", note, struck=f"{newest.name} refused")


@contextlib.contextmanager
def another_taskmanager(stack: Stack) -> Iterator[None]:
    """One more than the stack has."""
    environment = process_environment(stack.layout) | {
        "FLINK_IDENT_STRING": "taskmanager-extra",
        "FLINK_PID_DIR": str(stack.layout.data / "pids"),
        "PATH": "/usr/bin:/bin",
    }
    command = [f"{stack.layout.flink_home}/bin/taskmanager.sh", "start-foreground"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        count = stack.settings.stack.taskmanagers + 1
        eventually(lambda: len(stack.cluster.get("/taskmanagers")["taskmanagers"]) == count, 60)
        yield
    finally:
        process.kill()
        process.wait()
        eventually(lambda: len(stack.cluster.get("/taskmanagers")["taskmanagers"]) < count, 60)


@pytest.mark.manual
def test_the_job_is_rescaled_by_savepoints(stack: Stack, job: str, demo_bundle: Path) -> None:
    shoppers, tasks = Shoppers(stack, "rescale"), list[int]()
    with another_taskmanager(stack):
        for parallelism in (1, 2, 3, 1):
            shoppers.act(2500)
            variables = {"LIVESHELF_JOB__PARALLELISM": str(parallelism)}
            stack.serve(demo_bundle, variables)
            (running,) = stack.cluster.jobs(stack.settings.job.name)
            assert running["tasks"]["total"] == 3 * parallelism
            tasks.append(running["tasks"]["total"])
            shoppers.act(2500)
        shoppers.check("rescaled 1 -> 2 -> 3 -> 1", struck=f"tasks {', '.join(map(str, tasks))}")


FUNCTION, KEPT = "pipelines/job/batch_messages.py", "{user: stored(state) for user, state"


def test_the_call_that_is_replaced_is_there() -> None:
    assert (ROOT / FUNCTION).read_text().count(KEPT) == 1


@pytest.mark.manual
def test_states_of_layout_1_are_read_by_the_job_of_today(stack: Stack, job: str, demo_bundle: Path) -> None:
    """The job of before 2026-11-26 differs in this line: it kept each record as it is."""
    stack.serve_sabotaged(demo_bundle, FUNCTION, KEPT, "{user: state for user, state")
    shoppers = Shoppers(stack, "layout")
    shoppers.act()
    shoppers.check("states written in layout 1")
    stack.serve(demo_bundle)
    shoppers.act()
    shoppers.check("upgrade from layout 1", "states of 5,000 shoppers read from layout 1 and kept in the newest form;")


def test_added_partitions_are_refused(stack: Stack, job: str) -> None:
    """In a topic beside the real one: a broker cannot take partitions away again."""
    admin = KafkaAdminClient(**stack.settings.kafka.client_options())
    topic = "grown.events.v1"
    with contextlib.suppress(Exception):
        admin.delete_topics([topic])
        time.sleep(1)
    admin.create_topics({topic: {"num_partitions": 4, "replication_factor": 1}})
    admin.create_partitions({topic: 6})
    admin.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.submission.starting_offsets.JOB_INPUTS", (topic,))
        with pytest.raises(BrokerError, match="users would move"):
            prepare_start(stack.settings, savepoint=None, fresh=False)
    record(
        {"name": "partitions added", "note": "refused by submit and resume, with the way out", "verdict": Verdict.KEPT}
    )


@pytest.mark.manual
def test_events_that_retention_removed_are_an_alarm_and_not_a_silent_skip(
    stack: Stack, job: str, demo_bundle: Path
) -> None:
    location = json.loads(stack.liveshelf("stop", "--json").stdout)["savepoint"]
    shoppers = Shoppers(stack, "retention")
    shoppers.act(2000)
    ends = stack.topics.ends(EVENTS)
    admin = KafkaAdminClient(**stack.settings.kafka.client_options())
    admin.delete_records({TopicPartition(EVENTS, p.partition): end for p, end in ends.items()})
    admin.close()
    said = " ".join(stack.liveshelf("submit", "--from-savepoint", location, ok=False).stderr.split())
    assert "retention" in said, said
    assert "on_lost_events" in said, said
    skip = {"LIVESHELF_JOB__ON_LOST_EVENTS": "skip"}
    stack.liveshelf("submit", "--bundle", str(demo_bundle), "--from-savepoint", location, variables=skip)
    stack.serving = (str(demo_bundle), skip)
    after = Shoppers(stack, "afterwards")
    after.act(2000)
    note = "refused with the way out; skipped when asked to;"
    after.check("retention passed the committed offset", note, struck="submit refused the offsets")


@pytest.mark.manual
def test_an_input_topic_that_is_deleted_is_an_error_and_not_the_end(stack: Stack, job: str, demo_bundle: Path) -> None:
    """The job restarts until the topic is there again, and then says that its events are gone."""
    admin = KafkaAdminClient(**stack.settings.kafka.client_options())
    admin.delete_topics([EVENTS])
    try:
        failure = eventually(lambda: stack.cluster.failure(job), 120)
    finally:
        for running in stack.cluster.jobs(stack.settings.job.name):
            stack.cluster.cancel(running["jid"])
        stack.liveshelf("topics", "create")
        admin.close()
    skip = {"LIVESHELF_JOB__ON_LOST_EVENTS": "skip"}
    answer = json.loads(stack.liveshelf("resume", "--bundle", str(demo_bundle), "--json", variables=skip).stdout)
    stack.serving = (str(demo_bundle), skip)
    shoppers = Shoppers(stack, "deleted")
    shoppers.act(2000)
    shoppers.check(
        "input topic deleted and made anew",
        f"resumed in {answer['seconds']:.0f} s with on_lost_events = skip;",
        struck=f"the job failed: {failure.splitlines()[0][:80]}",
    )
