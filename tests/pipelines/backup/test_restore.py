"""A backup back into an empty stack: what the job gets, and what is left when that fails."""

import json
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition

from operators.errors import BrokerError, ClusterError
from operators.records.contracts import ERASURES, EVENTS, RECEIPTS, RECOMMENDATIONS
from operators.settings import Settings
from pipelines.backup import restore
from pipelines.backup.backup import take_backup
from pipelines.backup.backup_folder import read_manifest
from pipelines.backup.restore import restore_backup
from pipelines.submission.savepoint_offsets import source_offsets
from tests.pipelines.backup.fake_job import SETTINGS, Job, left


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
    monkeypatch.setattr(restore, "forget_transactions", lambda savepoint: None)  # Flink wrote no metadata here
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
