import os
import stat
from pathlib import Path

import pytest

from deploy.local.data_folder import MARKER, release, tighten
from deploy.local.layout import Layout
from operators.errors import StackError
from operators.settings import project_root


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "data", tmp_path / "data" / "jars")


def test_a_stacks_folder_is_marked_and_for_its_user_alone(layout: Layout) -> None:
    before = os.umask(0)
    try:
        layout.make()
    finally:
        os.umask(before)
    assert (layout.data / MARKER).is_file()
    assert [str(p) for p in [layout.data, *layout.data.rglob("*")] if p.stat().st_mode & 0o077] == []


def test_what_an_older_stack_left_open_is_closed_and_a_link_is_not_followed(layout: Layout, tmp_path: Path) -> None:
    state, outside = layout.data / "kafka" / "data", tmp_path / "outside"
    state.mkdir(parents=True)
    (state / "segment.log").touch()
    (state / "run").touch()
    for path, mode in ((state, 0o755), (state / "segment.log", 0o644), (state / "run", 0o755)):
        path.chmod(mode)
    outside.mkdir()
    outside.chmod(0o755)
    (state / "link").symlink_to(outside)
    layout.make()
    modes = {name: stat.S_IMODE((state / name).stat().st_mode) for name in ("segment.log", "run")}
    assert modes == {"segment.log": 0o600, "run": 0o700}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755


def test_a_folder_with_other_things_in_it_is_no_folder_for_a_stack(layout: Layout) -> None:
    layout.data.mkdir()
    (layout.data / "thesis.tex").touch()
    with pytest.raises(StackError, match=r"thesis\.tex"):
        layout.make()
    assert not (layout.data / MARKER).exists()


@pytest.mark.parametrize("folder", [Path("/"), Path.home(), project_root(), project_root().parent, Path("/tmp")])
def test_a_folder_that_holds_the_project_or_a_home_is_refused(folder: Path) -> None:
    layout = Layout(folder, folder / "jars")
    for act in (layout.make, layout.purge):
        with pytest.raises(StackError, match="stack alone"):
            act()


def test_purge_takes_the_stacks_own_parts_alone(layout: Layout) -> None:
    layout.make()
    layout.jars.mkdir()
    for name in ("bench", "work", "notes.txt"):  # results and notes that somebody keeps beside
        (layout.data / name).touch()
    (layout.kafka / "data").mkdir()
    layout.purge()
    assert sorted(entry.name for entry in layout.data.iterdir()) == ["bench", "jars", "notes.txt", "work"]


def test_purge_without_our_marker_removes_nothing(layout: Layout) -> None:
    layout.kafka.mkdir(parents=True)
    (layout.kafka / "meta.properties").touch()
    with pytest.raises(StackError, match=MARKER):
        layout.purge()
    assert (layout.kafka / "meta.properties").is_file()


def test_purge_of_nothing_is_no_error(layout: Layout) -> None:
    layout.purge()
    layout.kafka.mkdir(parents=True)
    layout.jars.mkdir()
    (layout.jars / "kafka.jar").touch()
    layout.purge()
    layout.make()
    (layout.jars / "kafka.jar").unlink()
    layout.jars.rmdir()
    layout.purge()
    assert not layout.data.exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="Not a directory"):
        Layout(tmp_path / "file" / "data", tmp_path / "jars").make()


def test_tightening_keeps_what_the_owner_may_do(tmp_path: Path) -> None:
    file = tmp_path / "read-only"
    file.touch(mode=0o444)
    tighten(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o400


def test_release_needs_no_jars_folder(tmp_path: Path) -> None:
    release(tmp_path / "none", tmp_path / "jars")


def test_what_cannot_be_removed_is_said(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that is mounted below the folder, say."""
    layout.make()

    def busy(folder: Path) -> None:
        raise OSError(16, "Device or resource busy", str(folder))

    monkeypatch.setattr("shutil.rmtree", busy)
    with pytest.raises(StackError, match="busy"):
        release(layout.data, layout.jars)


def test_a_plain_short_name_is_its_own_alias(tmp_path: Path) -> None:
    layout = Layout(Path("/srv/liveshelf"), tmp_path)
    assert layout.alias == layout.data


@pytest.mark.parametrize("name", ["my data", "a" * 120, "$(touch x)", "naïve"])
def test_a_name_with_blanks_or_too_long_for_a_socket_has_an_alias(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    layout = Layout(tmp_path / name, tmp_path / "jars")
    layout.make()
    assert layout.alias.resolve() == layout.data.resolve()
    assert " " not in str(layout.alias) and "$" not in str(layout.alias)
    layout.purge()
    assert not layout.data.exists()
    assert not list((tmp_path / "t").rglob("*stack*/*"))
