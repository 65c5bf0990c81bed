"""What a backup takes in which order, and what of it is left when one fails.

The broker and Flink are not there; `tests/faults/test_backup.py` has both.
"""

from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError

from operators.errors import BundleError, StackError
from operators.records.contracts import ERASURES, EVENTS, RECEIPTS, RECOMMENDATIONS
from pipelines.backup import backup
from pipelines.backup.backup import TOPICS, take_backup
from pipelines.backup.backup_folder import read_manifest
from tests.pipelines.backup.fake_job import SETTINGS, Job, Topic, left


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
