"""What a backup takes in which order, what a restore gives to the job, and what of it is left when one fails.

The broker and Flink are not there; `tests/faults/test_backup.py` has both.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaConnectionError

from operators.errors import BrokerError, BundleError, ClusterError, StackError
from operators.records.contracts import ERASURES, EVENTS, RECEIPTS, RECOMMENDATIONS
from operators.settings import Settings
from pipelines.backup import backup, restore
from pipelines.backup.backup import TOPICS, take_backup
from pipelines.backup.backup_folder import read_manifest
from pipelines.backup.restore import restore_backup
from pipelines.submission.savepoint_offsets import source_offsets
from pipelines.submission.served_bundle import FOLDER, NAME, SUM, manifest_sum
from tests.builders import write_bundle

SETTINGS = Settings.of_dump(Settings.model_construct().model_dump() | {"kafka": {"partitions": 2}})
STANDS = {(EVENTS, 0): 700, (EVENTS, 1): -3, (ERASURES, 0): 5, (ERASURES, 1): 0}
AGO = 1_700_000_000_000


def split(topic: str, partition: int, offset: int) -> bytes:
    return struct.pack(">H", len(topic)) + topic.encode() + struct.pack(">iqq", partition, offset, -(2**63))


class Job:
    """A running job of a cluster on this machine."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.bundle, self.savepoints = bundle, folder / "savepoints"
        self.disposed: list[str] = []

    def __call__(self, rest_url: str) -> "Job":
        return self

    def jobs(self, name: str | None = None) -> list[dict[str, str]]:
        return [{"jid": "a", "name": SETTINGS.job.name}]

    def get(self, path: str) -> dict[str, Any]:
        noted = {SUM: manifest_sum(self.bundle), NAME: "known 1", FOLDER: str(self.bundle)}
        return {"execution-config": {"user-config": noted}}

    def savepoint(self, job_id: str) -> str:
        made = self.savepoints / "savepoint-1"
        made.mkdir(parents=True)
        (made / "_metadata").write_bytes(b"".join(split(*place, offset) for place, offset in STANDS.items()))
        (made / "state").write_bytes(b"everyone")
        return f"file:{made}"

    def dispose_savepoint(self, location: str) -> None:
        self.disposed.append(location)


class Topic:
    """A stretch of a topic; of the erasures two that the state has seen and one that it has not."""

    asked: list[tuple[str, Any]]

    def __init__(self, kafka: Any, topic: str, after: Any = None) -> None:
        Topic.asked.append((topic, after))
        self._topic = topic

    def __iter__(self) -> Iterator[Any]:
        offsets = {EVENTS: (700, 701), ERASURES: (1, 4, 6)}.get(self._topic, (3,))
        for offset in offsets:
            yield SimpleNamespace(partition=0, offset=offset, timestamp=AGO + offset, key=b"k", value=b"v", headers=[])

    def close(self) -> None:
        pass


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    found = Job(tmp_path, write_bundle(tmp_path / "bundle"))
    Topic.asked = []
    monkeypatch.setattr(backup, "Cluster", found)
    monkeypatch.setattr(backup, "TopicRange", Topic)
    return found


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {".lock"} if folder.exists() else set()


def test_the_inputs_come_last_the_events_from_where_the_state_stands(job: Job, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    assert [topic for topic, _ in Topic.asked] == list(TOPICS)
    assert Topic.asked[-2:] == [(EVENTS, {0: 700}), (ERASURES, None)]
    assert RECEIPTS in TOPICS
    manifest = read_manifest(folder)
    assert manifest["records"] | {EVENTS: 2, ERASURES: 3} == manifest["records"]
    assert manifest["bundle"] == ["known", "1"]
    assert (folder / "savepoint" / "state").read_bytes() == b"everyone"
    assert left(job.savepoints) == set(), "the savepoint has moved"


def test_the_bundle_that_serves_is_saved_wherever_it_is_still_found(job: Job, tmp_path: Path) -> None:
    first = take_backup(SETTINGS, tmp_path / "root", None, keep=7)
    job.get = lambda path, was=job.get(""): was  # type: ignore[method-assign]
    kept = job.bundle.rename(tmp_path / "moved")
    second_root = tmp_path / "another root"
    with pytest.raises(BundleError, match=r"known 1.*--bundle"):
        take_backup(SETTINGS, second_root, None, keep=7)
    assert left(second_root) == left(job.savepoints) == set(), "no savepoint is taken for nothing"
    assert take_backup(SETTINGS, second_root, kept, keep=7).is_dir()
    earlier = first.rename(first.with_name("backup-20200101T000000Z"))
    again = take_backup(SETTINGS, tmp_path / "root", None, keep=7)
    assert (again / "bundle" / "manifest.json").read_bytes() == (earlier / "bundle" / "manifest.json").read_bytes()


@pytest.mark.parametrize("fails", ["copy", "_export", "source_offsets", "seal"])
def test_a_backup_that_fails_leaves_neither_a_half_nor_its_savepoint(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def broken(*_: object) -> None:
        raise KafkaConnectionError("gone")

    monkeypatch.setattr(backup.BundleFiles if fails == "copy" else backup, fails, broken)
    with pytest.raises(KafkaConnectionError):
        take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    assert left(tmp_path / "root") == left(job.savepoints) == set()


def test_a_savepoint_that_cannot_be_moved_does_not_stay(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup.shutil, "move", full)
    with pytest.raises(StackError, match="No space left"):
        take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    assert left(tmp_path / "root") == left(job.savepoints) == set()


def test_a_savepoint_on_another_machine_is_given_back(job: Job, tmp_path: Path) -> None:
    job.savepoint = lambda job_id: "file:/on/another/machine"  # type: ignore[method-assign]
    with pytest.raises(StackError, match="run the backup where"):
        take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    assert job.disposed == ["file:/on/another/machine"]


class Stack:
    """An empty stack; `producer` is what its topics are filled with."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.filled: dict[str, Any] = {}
        self.did: list[str] = []
        self.others: dict[str, int] = {}
        patch.setattr(restore, "ensure_topics", lambda kafka: [])
        patch.setattr(restore, "TopicReader", lambda kafka: self)
        patch.setattr(restore, "filling", self._filling)
        patch.setattr(restore, "keep_as_usual", lambda kafka, topics: self.did.append(f"usual {len(topics)}"))
        patch.setattr(restore, "wait_until_read", self._wait)
        patch.setattr(restore, "import_records", self._import)

    def ends(self, topic: str) -> dict[TopicPartition, int]:
        found = self.filled[topic].ends if topic in self.filled else {}
        return {TopicPartition(topic, n): found.get(n, 0) + (n == 0) * self.others.get(topic, 0) for n in range(2)}

    def close(self) -> None:
        pass

    def _filling(self, kafka: Any, topics: Any, inputs: Any, since_ms: int) -> Any:
        stack = self

        class Filling:
            def __enter__(self) -> None:
                stack.did.append("filling")

            def __exit__(self, *_: object) -> None:
                stack.did.append("filled")

        return Filling()

    def _import(self, kafka: Any, topic: str, file: Path, made_ms: int, seen: Any) -> Any:
        from pipelines.topics.topic_archive import Imported, read_archive

        found = self.filled[topic] = Imported()
        for record in read_archive(file):
            found.take(record, seen)
        return found

    def _wait(self, settings: Settings, job_id: str, ends: dict[TopicPartition, int]) -> None:
        self.did.append("read")
        self.waited = ends


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    return Stack(monkeypatch)


def test_the_state_goes_on_at_the_first_record_that_it_has_not_seen(job: Job, stack: Stack, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    (tmp_path / "for the cluster").mkdir()
    given: list[Any] = []

    def submit(settings: Settings, bundle: Path, savepoint: str) -> str:
        given.append((settings, bundle))
        place = Path(savepoint.removeprefix("file://"))
        assert place.parent == tmp_path / "for the cluster"
        assert (place / "state").read_bytes() == b"everyone"
        stands = source_offsets(place, [EVENTS, ERASURES], 2)
        # of partition 1 of the events nothing was ever read: its source asks for the group's offset
        assert stands == {
            TopicPartition(EVENTS, 0): 0,
            TopicPartition(ERASURES, 0): 2,  # 1 and 4 were seen; 6 arrived after the savepoint
            TopicPartition(ERASURES, 1): 0,
        }
        stack.did.append("submit")
        return "job-1"

    restored = restore_backup(SETTINGS, folder, tmp_path / "for the cluster", submit)
    assert restored.job_id == "job-1"
    assert restored.records == read_manifest(folder)["records"]
    assert given == [(SETTINGS, folder / "bundle")], "the settings are those of the shop, on_lost_events too"
    assert stack.did == ["filling", "filled", "submit", "read", "usual 2"]
    assert stack.waited == {TopicPartition(EVENTS, 0): 2, TopicPartition(ERASURES, 0): 3}
    assert {file: file.read_bytes() for file in before} == before, "the backup stays as it is"


def test_where_the_job_does_not_start_no_savepoint_stays_and_the_way_on_is_said(
    job: Job, stack: Stack, tmp_path: Path
) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)

    def submit(*_: object) -> str:
        raise ClusterError("a job", "none", "correct the cause")

    (tmp_path / "for the cluster").mkdir()
    with pytest.raises(ClusterError, match="correct the cause; then restore into a new stack"):
        restore_backup(SETTINGS, folder, tmp_path / "for the cluster", submit)
    assert left(tmp_path / "for the cluster") == set()
    assert stack.did == ["filling", "filled"], "clients must not go on saying the time of their events"


def test_another_producer_is_noticed(job: Job, stack: Stack, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    imported = stack._import

    def beside(*asked: Any) -> Any:
        stack.others[RECOMMENDATIONS] = 1
        return imported(*asked)

    restore.import_records = beside  # type: ignore[assignment]  # the fixture's patch puts the real one back
    with pytest.raises(BrokerError, match="somebody else writes"):
        restore_backup(SETTINGS, folder, tmp_path, lambda *_: "never")
    assert stack.did == ["filling", "filled"]


def test_a_stack_that_holds_something_is_left_alone(job: Job, stack: Stack, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    stack.others = {ERASURES: 1}
    with pytest.raises(BrokerError, match=f"an empty topic {ERASURES}") as said:
        restore_backup(SETTINGS, folder, tmp_path, lambda *_: "never")
    assert stack.did == [] and "purge" not in str(said.value)


def test_another_number_of_partitions_is_refused(job: Job, stack: Stack, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    other = SETTINGS.model_copy(update={"kafka": SETTINGS.kafka.model_copy(update={"partitions": 3})})
    with pytest.raises(BrokerError, match="users keep their partition"):
        restore_backup(other, folder, tmp_path, lambda *_: "never")


def test_a_backup_of_an_older_liveshelf_has_no_receipts_and_no_times(job: Job, stack: Stack, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    (folder / "topics" / f"{RECEIPTS}.jsonl.gz").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"][f"topics/{RECEIPTS}.jsonl.gz"]
    (folder / "manifest.json").write_text(json.dumps(manifest | {"offsets": {"0": 700}}))
    assert restore_backup(SETTINGS, folder, tmp_path, lambda *_: "job-1").records[RECEIPTS] == 0


def test_lists_in_a_transaction_are_waited_for_before_they_are_saved(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[Any] = []

    class Reader:
        def __init__(self, kafka: Any) -> None:
            pass

        def wait_until_committed(self, topics: Any) -> None:
            waited.append((topics, list(Topic.asked)))

        def close(self) -> None:
            pass

    monkeypatch.setattr(backup, "TopicReader", Reader)
    take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    assert waited == []
    once = SETTINGS.model_copy(update={"job": SETTINGS.job.model_copy(update={"delivery": "exactly-once"})})
    Topic.asked = []
    take_backup(once, tmp_path / "another root", None, keep=1)
    assert waited == [((RECOMMENDATIONS, RECEIPTS), [])]
