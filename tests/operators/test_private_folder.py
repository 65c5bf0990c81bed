import os
import stat
import tempfile
from pathlib import Path

import pytest

from operators.errors import SettingsError
from operators.private_folder import private_folder, user_folder


@pytest.fixture(autouse=True)
def open_umask():
    """The mode must not depend on it."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_it_is_made_for_its_user_alone(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "mine", "x.dir")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert private_folder(folder, "x.dir") == folder, "and taken again"


def test_one_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o750)
    with pytest.raises(SettingsError, match=r"x\.dir") as refused:
        private_folder(tmp_path / "open", "x.dir")
    assert "drwxr-x---" in str(refused.value)


def test_a_link_that_somebody_put_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    (tmp_path / "mine").symlink_to(tmp_path / "theirs")
    with pytest.raises(SettingsError, match="lrwx"):
        private_folder(tmp_path / "mine", "x.dir")


def test_one_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: (tmp_path / "mine").stat().st_uid + 1)
    with pytest.raises(SettingsError, match="of user"):
        private_folder(tmp_path / "mine", "x.dir")


def test_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(SettingsError, match="File exists"):
        private_folder(tmp_path / "mine", "x.dir")


def test_a_users_folder_has_the_user_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert user_folder("tables", "job.tables_dir") == tmp_path / f"liveshelf-{os.getuid()}" / "tables"
    (tmp_path / f"liveshelf-{os.getuid()}").chmod(0o755)
    with pytest.raises(SettingsError, match=r"job\.tables_dir"):
        user_folder("tables", "job.tables_dir")
