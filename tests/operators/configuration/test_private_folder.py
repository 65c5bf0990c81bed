import os
import stat
import tempfile
from pathlib import Path

import pytest

from operators.configuration.private_folder import cache_folder, private_folder, user_folder
from operators.errors import StackError

SETTING = "scorer.engines_dir"


def test_one_that_is_not_there_is_made_for_this_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = private_folder(tmp_path / "above" / "mine", SETTING)
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert private_folder(made, SETTING) == made


@pytest.mark.parametrize("mode", [0o701, 0o704, 0o710, 0o720, 0o755, 0o770, 0o777, 0o1777])
def test_one_that_others_may_enter_is_refused_with_the_way_out(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(StackError, match=f"{SETTING} .* its mode is {mode:o}.*chmod 700 {tmp_path}"):
        private_folder(tmp_path, SETTING)


def test_one_that_others_may_read_can_be_asked_for(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert private_folder(tmp_path, SETTING, others_may_read=True) == tmp_path
    for mode in (0o757, 0o775):
        tmp_path.chmod(mode)
        with pytest.raises(StackError, match="chmod 755"):
            private_folder(tmp_path, SETTING, others_may_read=True)


def test_a_link_to_a_good_one_is_refused(tmp_path: Path) -> None:
    """Who made the link can let it lead elsewhere later."""
    good = private_folder(tmp_path / "good", SETTING)
    link = tmp_path / "link"
    link.symlink_to(good)
    with pytest.raises(StackError, match="it is a link"):
        private_folder(link, SETTING)
    gone = tmp_path / "gone"
    gone.symlink_to(tmp_path / "nowhere")
    with pytest.raises(StackError, match="can be made"):
        private_folder(gone, SETTING)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="can be made"):
        private_folder(tmp_path / "file", SETTING)


def test_one_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(StackError, match=f"uid {owner + 1}.*belongs to the user with uid {owner}"):
        private_folder(tmp_path, SETTING)


def test_the_cache_is_this_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("engines") == tmp_path / "liveshelf" / "engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/shop")
    assert cache_folder("engines") == Path("/home/shop/.cache/liveshelf/engines")


def test_a_users_folder_has_the_user_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert user_folder("tables", "job.tables_dir") == tmp_path / f"liveshelf-{os.geteuid()}" / "tables"
    (tmp_path / f"liveshelf-{os.geteuid()}").chmod(0o755)
    with pytest.raises(StackError, match=r"job\.tables_dir"):
        user_folder("tables", "job.tables_dir")
