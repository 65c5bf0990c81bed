"""Orphaned files of checkpoints, and never a file that a checkpoint needs."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.submission.checkpoints import bytes_of, find_checkpoints, orphans, superseded

NOW = 1_000_000.0
NAMES = [f"{n:08x}-0000-4000-8000-{n:012x}" for n in range(9)]


def file(path: Path, age_s: float, content: bytes = b"state") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (NOW - age_s, NOW - age_s))
    return path


def metadata(job: Path, number: int, age_s: float, *names: str) -> None:
    """As Flink writes it: paths of state files among other bytes."""
    paths = b"\x00\x31".join(f"file:{job}/shared/{name}".encode() for name in names)
    file(job / f"chk-{number}" / "_metadata", age_s, b"\x49\x60\x67\x22" + paths + b"\x00")


def test_orphans_are_files_that_no_checkpoint_refers_to_now_or_later(tmp_path: Path) -> None:
    running, ended = tmp_path / "a", tmp_path / "b"
    metadata(running, 6, 100, NAMES[0])
    metadata(running, 7, 50, NAMES[0], NAMES[1])
    needed = [
        file(running / "shared" / NAMES[0], 5000),
        file(running / "shared" / NAMES[1], 60),
        file(running / "shared" / NAMES[2], 20),  # of the next checkpoint
        file(running / "shared" / NAMES[3], 80),  # of an aborted one, and too young
        file(ended / "taskowned" / "a note", 5000),
    ]
    expected = [file(running / "shared" / NAMES[4], 900), file(ended / "shared" / NAMES[5], 900)]
    assert orphans(tmp_path, {"a"}, 60, NOW) == expected
    assert orphans(tmp_path, {"a"}, 2000, NOW) == []
    assert all(path.is_file() for path in needed)
    assert [checkpoint.path.name for checkpoint in find_checkpoints(tmp_path)] == ["chk-7", "chk-6"]


def test_a_job_that_has_no_checkpoint_yet_keeps_all_while_it_runs(tmp_path: Path) -> None:
    first = file(tmp_path / "a" / "shared" / NAMES[0], 900)
    assert orphans(tmp_path, {"a"}, 60, NOW) == []
    assert orphans(tmp_path, set(), 60, NOW) == [first]


def test_folders_of_earlier_jobs_are_superseded_by_a_checkpoint_of_the_running_job(tmp_path: Path) -> None:
    of_job = {"died": NAMES[1], "kept": NAMES[2], "young": NAMES[3]}
    for (job, name), age in zip(of_job.items(), (900, 800, 30), strict=True):
        file(tmp_path / job / "shared" / name, age)
        metadata(tmp_path / job, 3, age, name)
    (tmp_path / "stopped" / "shared").mkdir(parents=True)

    def replaced(older_than_s: float = 60) -> list[str]:
        return [folder.name for folder in superseded(tmp_path, "serves", {"serves", "other"}, older_than_s, NOW)]

    assert replaced() == []  # the job has no checkpoint of its own yet, or does not run at all
    metadata(tmp_path / "other", 1, 5)
    assert replaced() == []  # another job's says nothing of ours
    metadata(tmp_path / "serves", 1, 850, NAMES[0], of_job["kept"])
    assert replaced() == ["died"]  # of the rest one is newer, and one is still named
    metadata(tmp_path / "serves", 2, 10, NAMES[0])
    (tmp_path / "serves" / "chk-1" / "_metadata").unlink()
    assert replaced() == ["died", "kept"] and replaced(850) == ["died"] and replaced(5) == ["died", "kept", "young"]
    metadata(tmp_path / "other", 1, 5, of_job["died"])
    assert replaced() == ["kept"]


def test_what_another_job_was_resumed_from_stays(tmp_path: Path) -> None:
    """Its checkpoint names files of the older job's folder until its own first one is whole."""
    old = file(tmp_path / "a" / "shared" / NAMES[0], 5000)
    metadata(tmp_path / "b", 1, 10, NAMES[0])
    assert orphans(tmp_path, {"b"}, 60, NOW) == []
    assert orphans(tmp_path / "none", set(), 60, NOW) == []
    assert old.is_file()


def test_a_checkpoint_that_flink_deletes_meanwhile_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata(tmp_path / "a", 6, 100, NAMES[0])
    metadata(tmp_path / "a", 7, 50, NAMES[1])
    expected = [file(tmp_path / "a" / "shared" / name, 900) for name in (NAMES[0], NAMES[2])]
    scandir = os.scandir

    def racing(folder: str) -> Iterator[os.DirEntry[str]]:
        if Path(folder).name == "chk-6" and Path(folder).is_dir():
            (Path(folder) / "_metadata").unlink()
            Path(folder).rmdir()
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", racing)
    assert orphans(tmp_path, {"a"}, 60, NOW) == expected  # of the older checkpoint nothing is needed any more
    assert [checkpoint.path.name for checkpoint in find_checkpoints(tmp_path)] == ["chk-7"]
    assert bytes_of([*expected, tmp_path / "gone"]) == 2 * len(b"state")
