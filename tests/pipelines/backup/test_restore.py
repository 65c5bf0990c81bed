"""A restore into an empty stack: what the job gets, and cleaning up after a failure."""

import json
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition

from operators.errors import BrokerError, ClusterError
from operators.records.contracts import ERASURES, EVENTS, EXAMPLES, ITEMS, RECEIPTS, RECOMMENDATIONS
from operators.settings import Settings
from pipelines.backup import restore
from pipelines.backup.backup import take_backup
from pipelines.backup.backup_folder import read_manifest
from pipelines.backup.restore import restore_backup
from pipelines.submission.savepoint_offsets import source_offsets
from tests.pipelines.backup.fake_job import SETTINGS, Job, paths_below


class Stack:
    """An empty stack; `other_records`: records of another producer, by topic."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.filled: dict[str, Any] = {}
        self.steps: list[str] = []
        self.other_records: dict[str, int] = {}
        patch.setattr(restore, "ensure_topics", lambda kafka: [])
        patch.setattr(restore, "TopicReader", lambda kafka: self)
        patch.setattr(restore, "filling", self._filling)
        patch.setattr(restore, "restore_retention", lambda kafka, topics: self.steps.append(f"usual {len(topics)}"))
        patch.setattr(restore, "wait_until_read", self._wait)
        patch.setattr(restore, "import_records", self._import)

    def ends(self, topic: str) -> dict[TopicPartition, int]:
        ends = self.filled[topic].ends if topic in self.filled else {}
        return {
            TopicPartition(topic, number): ends.get(number, 0) + (number == 0) * self.other_records.get(topic, 0)
            for number in range(2)
        }

    def close(self) -> None:
        pass

    def _filling(self, kafka: Any, topics: Any, inputs: Any, since_ms: int) -> Any:
        stack = self

        class Filling:
            def __enter__(self) -> None:
                stack.steps.append("filling")

            def __exit__(self, *_: object) -> None:
                stack.steps.append("filled")

        return Filling()

    def _import(self, kafka: Any, topic: str, file: Path, backup_ms: int, seen_until: Any) -> Any:
        from pipelines.topics.topic_archive import TopicImport, read_archive

        topic_import = self.filled[topic] = TopicImport()
        for record in read_archive(file):
            topic_import.take(record, seen_until)
        return topic_import

    def _wait(self, settings: Settings, job_id: str, ends: dict[TopicPartition, int]) -> None:
        self.steps.append("read")
        self.awaited_ends = ends


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setattr(restore, "forget_transactions", lambda savepoint: None)  # Flink wrote no metadata here
    return Stack(monkeypatch)


def test_the_state_continues_at_the_first_unseen_record(job: Job, stack: Stack, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    contents = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    (tmp_path / "for the cluster").mkdir()
    submissions: list[Any] = []

    def submit(settings: Settings, bundle: Path, savepoint: str) -> str:
        submissions.append((settings, bundle))
        folder_of_savepoint = Path(savepoint.removeprefix("file://"))
        assert folder_of_savepoint.parent == tmp_path / "for the cluster"
        assert (folder_of_savepoint / "state").read_bytes() == b"everyone"
        offsets = source_offsets(folder_of_savepoint, [EVENTS, ERASURES], 2)
        # of partition 1 of the events nothing was ever read: its source asks for the group's offset
        assert offsets == {
            TopicPartition(EVENTS, 0): 0,
            TopicPartition(ERASURES, 0): 2,  # 1 and 4 were seen; 6 arrived after the savepoint
            TopicPartition(ERASURES, 1): 0,
        }
        stack.steps.append("submit")
        return "job-1"

    restored = restore_backup(SETTINGS, folder, tmp_path / "for the cluster", submit)
    assert restored.job_id == "job-1"
    assert restored.records == {EXAMPLES: 0, ITEMS: 0} | read_manifest(folder)["records"], (
        "a job without both operators"
    )
    assert submissions == [(SETTINGS, folder / "bundle")], "the settings are those of the shop, on_lost_events too"
    assert stack.steps == ["filling", "filled", "submit", "read", "usual 2"]
    assert stack.awaited_ends == {TopicPartition(EVENTS, 0): 2, TopicPartition(ERASURES, 0): 3}
    assert {file: file.read_bytes() for file in contents} == contents, "the backup stays as it is"


def test_a_job_that_does_not_start_leaves_no_savepoint_and_the_error_says_what_to_do(
    job: Job, stack: Stack, tmp_path: Path
) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)

    def submit(*_: object) -> str:
        raise ClusterError("a job", "none", "correct the cause")

    (tmp_path / "for the cluster").mkdir()
    with pytest.raises(ClusterError, match="correct the cause; then restore into a new stack"):
        restore_backup(SETTINGS, folder, tmp_path / "for the cluster", submit)
    assert paths_below(tmp_path / "for the cluster") == set()
    assert stack.steps == ["filling", "filled"], "clients must not go on saying the time of their events"


def test_records_of_another_producer_are_refused(job: Job, stack: Stack, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    real_import = stack._import

    def import_beside_another_producer(*arguments: Any) -> Any:
        stack.other_records[RECOMMENDATIONS] = 1
        return real_import(*arguments)

    restore.import_records = import_beside_another_producer  # type: ignore[assignment]  # the fixture's patch puts the real one back
    with pytest.raises(BrokerError, match="somebody else writes"):
        restore_backup(SETTINGS, folder, tmp_path, lambda *_: "never")
    assert stack.steps == ["filling", "filled"]


def test_a_stack_with_records_is_refused(job: Job, stack: Stack, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    stack.other_records = {ERASURES: 1}
    with pytest.raises(BrokerError, match=f"an empty topic {ERASURES}") as raised:
        restore_backup(SETTINGS, folder, tmp_path, lambda *_: "never")
    assert stack.steps == [] and "purge" not in str(raised.value)


def test_another_number_of_partitions_is_refused(job: Job, stack: Stack, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    settings = SETTINGS.model_copy(update={"kafka": SETTINGS.kafka.model_copy(update={"partitions": 3})})
    with pytest.raises(BrokerError, match="users keep their partition"):
        restore_backup(settings, folder, tmp_path, lambda *_: "never")


def test_a_backup_of_an_older_liveshelf_has_no_receipts_and_no_times(job: Job, stack: Stack, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    (folder / "topics" / f"{RECEIPTS}.jsonl.gz").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"][f"topics/{RECEIPTS}.jsonl.gz"]
    (folder / "manifest.json").write_text(json.dumps(manifest | {"offsets": {"0": 700}}))
    assert restore_backup(SETTINGS, folder, tmp_path, lambda *_: "job-1").records[RECEIPTS] == 0
