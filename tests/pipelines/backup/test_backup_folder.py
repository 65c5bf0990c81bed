"""The folder of backups: permissions, failed runs, rotation."""

import json
import os
import stat
from pathlib import Path

import pytest

from operators.errors import StackError
from pipelines.backup.backup_folder import new_backup, read_manifest, rotate, seal

FACTS = {"job": "shop", "partitions": 4, "made_at": 1, "records": {}}


def backup(root: Path, name: str, job: str = "shop") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"job": job}))
    return folder


def names(root: Path) -> set[str]:
    return {entry.name for entry in root.iterdir() if not entry.name.startswith(".")}


def new_sealed_backup(root: Path) -> Path:
    with new_backup(root) as (work, folder):
        (work / "topics").mkdir()
        (work / "topics" / "a").write_text("what shoppers did")
        seal(work, folder, FACTS)
    return folder


def test_a_backup_is_whole_private_and_verified(tmp_path: Path) -> None:
    root, umask = tmp_path / "backups", os.umask(0o022)
    try:
        folder = new_sealed_backup(root)
    finally:
        os.umask(umask)
    assert read_manifest(folder)["job"] == "shop"
    modes = {str(p.relative_to(root)): stat.S_IMODE(p.stat().st_mode) for p in (root, *folder.rglob("*"), folder)}
    assert {mode for name, mode in modes.items() if name.endswith(("a", "manifest.json"))} == {0o600}
    assert {mode for name, mode in modes.items() if not name.endswith(("a", "manifest.json"))} == {0o700}


def test_nobody_looks_into_one_that_is_being_written(tmp_path: Path) -> None:
    with new_backup(tmp_path) as (work, _):
        assert stat.S_IMODE(work.stat().st_mode) == 0o700


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_run_that_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with new_backup(tmp_path) as (work, _):
            (work / "savepoint").mkdir()
            (work / "savepoint" / "_metadata").write_text("everyone")
            raise error

    with pytest.raises(error):
        fail()
    assert [entry.name for entry in tmp_path.iterdir()] == [".lock"]


def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / ".backup-20261101T000000Z.part" / "savepoint").mkdir(parents=True)
    (tmp_path / ".backup-20261101T000000Z.old").mkdir()
    (tmp_path / ".backup-mine.part").mkdir()
    folder = new_sealed_backup(tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} == {".lock", ".backup-mine.part", folder.name}


def test_two_do_not_write_to_one_root_at_once(tmp_path: Path) -> None:
    with new_backup(tmp_path) as (work, _):
        with pytest.raises(StackError, match="one backup at a time"), new_backup(tmp_path):
            pass
        assert work.is_dir()


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="room for a backup"), new_backup(tmp_path / "file" / "backups"):
        pass


def test_the_oldest_go_and_never_the_one_just_made(tmp_path: Path) -> None:
    days = [backup(tmp_path, f"backup-202611{day:02}T030000Z") for day in range(1, 6)]
    removed = rotate(tmp_path, days[4], "shop", keep=3)
    assert [folder.name for folder in removed] == [days[0].name, days[1].name]
    assert names(tmp_path) == {day.name for day in days[2:]}
    early = backup(tmp_path, "backup-20260101T030000Z")  # the clock went back
    rotate(tmp_path, early, "shop", keep=1)
    assert names(tmp_path) == {early.name}


def test_what_is_no_backup_of_this_job_stays(tmp_path: Path) -> None:
    """A pattern `backup-*` would also match `backup-zzz`, and remove the newest backup instead of the oldest."""
    others = [
        backup(tmp_path, "backup-zzz"),
        backup(tmp_path, "backup-old"),
        backup(tmp_path, "backup-20261101T030000Z.copy"),
        backup(tmp_path, "backup-20261102T030000Z", job="another"),
    ]
    (tmp_path / "backup-20261103T030000Z").mkdir()  # without a manifest
    (tmp_path / "backup-20261104T030000Z").write_text("a file")
    elsewhere = backup(tmp_path / "elsewhere", "backup-20261105T030000Z")
    (tmp_path / "backup-20261105T030000Z").symlink_to(elsewhere)
    (broken := backup(tmp_path, "backup-20261106T030000Z") / "manifest.json").write_text("[]")
    current = new_sealed_backup(tmp_path)
    names_before = names(tmp_path)
    assert rotate(tmp_path, current, "shop", keep=1) == []
    assert names(tmp_path) == names_before
    assert current.name in names_before and all(folder.name in names_before for folder in others) and broken.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 7, "partitions": 4, "made_at": 1, "records": {}}'])
def test_what_is_no_manifest_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(StackError, match="name a folder"):
        read_manifest(tmp_path)


def test_a_damaged_backup_is_refused(tmp_path: Path) -> None:
    folder = new_sealed_backup(tmp_path)
    (folder / "topics" / "a").write_text("half")
    with pytest.raises(StackError, match="older backup"):
        read_manifest(folder)
    (folder / "topics" / "a").unlink()
    with pytest.raises(StackError, match="no file"):
        read_manifest(folder)
    with pytest.raises(StackError, match=r"manifest\.json"):
        read_manifest(tmp_path / "nothing")
