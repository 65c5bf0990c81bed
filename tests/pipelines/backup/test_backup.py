"""Order and content of a backup, and cleaning up after a failed one.

Broker and Flink are fakes; `tests/faults/test_backup.py` has both.
"""

from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError

from operators.configuration.shop_settings import DemandSettings, FeedbackSettings
from operators.errors import BundleError, StackError
from operators.records.contracts import ERASURES, EVENTS, EXAMPLES, ITEMS, RECEIPTS, RECOMMENDATIONS
from pipelines.backup import backup
from pipelines.backup.backup import TOPICS, take_backup
from pipelines.backup.backup_folder import read_manifest
from tests.pipelines.backup.fake_job import SETTINGS, Job, Topic, paths_below


def test_inputs_are_exported_last_and_events_from_the_savepoints_offsets(job: Job, tmp_path: Path) -> None:
    folder = take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    assert [topic for topic, _ in Topic.ranges] == [topic for topic in TOPICS if topic not in (EXAMPLES, ITEMS)]
    assert Topic.ranges[-2:] == [(EVENTS, {0: 700}), (ERASURES, None)]
    assert RECEIPTS in TOPICS
    manifest = read_manifest(folder)
    assert manifest["records"] | {EVENTS: 2, ERASURES: 3} == manifest["records"]
    assert manifest["bundle"] == ["known", "1"]
    assert (folder / "savepoint" / "state").read_bytes() == b"everyone"
    assert paths_below(job.savepoints) == set(), "the savepoint has moved"


def test_the_served_bundle_is_saved_from_any_folder_that_holds_it(job: Job, tmp_path: Path) -> None:
    first_backup = take_backup(SETTINGS, tmp_path / "root", None, keep=7)
    job.get = lambda path, config=job.get(""): config  # type: ignore[method-assign]
    moved_bundle = job.bundle.rename(tmp_path / "moved")
    second_root = tmp_path / "another root"
    with pytest.raises(BundleError, match=r"known 1.*--bundle"):
        take_backup(SETTINGS, second_root, None, keep=7)
    assert paths_below(second_root) == paths_below(job.savepoints) == set(), "no savepoint is taken for nothing"
    assert take_backup(SETTINGS, second_root, moved_bundle, keep=7).is_dir()
    earlier = first_backup.rename(first_backup.with_name("backup-20200101T000000Z"))
    second_backup = take_backup(SETTINGS, tmp_path / "root", None, keep=7)
    assert (second_backup / "bundle" / "manifest.json").read_bytes() == (
        earlier / "bundle" / "manifest.json"
    ).read_bytes()


@pytest.mark.parametrize("fails", ["copy", "_export", "source_offsets", "seal"])
def test_a_failed_backup_leaves_no_folder_and_no_savepoint(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def broken(*_: object) -> None:
        raise KafkaConnectionError("gone")

    monkeypatch.setattr(backup.BundleFiles if fails == "copy" else backup, fails, broken)
    with pytest.raises(KafkaConnectionError):
        take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    assert paths_below(tmp_path / "root") == paths_below(job.savepoints) == set()


def test_a_savepoint_that_cannot_be_moved_does_not_stay(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup.shutil, "move", full)
    with pytest.raises(StackError, match="No space left"):
        take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    assert paths_below(tmp_path / "root") == paths_below(job.savepoints) == set()


def test_a_savepoint_on_another_machine_is_given_back(job: Job, tmp_path: Path) -> None:
    job.savepoint = lambda job_id: "file:/on/another/machine"  # type: ignore[method-assign]
    with pytest.raises(StackError, match="run the backup where"):
        take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    assert job.disposed == ["file:/on/another/machine"]


def test_the_backup_waits_for_transactions_before_it_saves_lists(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[Any] = []

    class Reader:
        def __init__(self, kafka: Any) -> None:
            pass

        def wait_until_committed(self, topics: Any) -> None:
            waits.append((topics, list(Topic.ranges)))

        def close(self) -> None:
            pass

    monkeypatch.setattr(backup, "TopicReader", Reader)
    take_backup(SETTINGS, tmp_path / "root", None, keep=1)
    assert waits == []
    exactly_once = SETTINGS.model_copy(update={"job": SETTINGS.job.model_copy(update={"delivery": "exactly-once"})})
    Topic.ranges = []
    take_backup(exactly_once, tmp_path / "another root", None, keep=1)
    assert waits == [((RECOMMENDATIONS, RECEIPTS), [])]
    switches = {"feedback": FeedbackSettings(enabled=True), "demand": DemandSettings(enabled=True)}
    Topic.ranges = []
    take_backup(SETTINGS.model_copy(update=switches), tmp_path / "a third root", None, keep=1)
    assert waits[1:] == [((EXAMPLES,), [])], "examples are always exactly once"
    assert [topic for topic, _ in Topic.ranges] == list(TOPICS)
