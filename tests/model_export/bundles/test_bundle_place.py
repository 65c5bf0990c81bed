"""A new bundle takes the place of an older one, and of nothing else."""

from pathlib import Path

import pytest

from model_export.bundles.bundle_folder import check_place, new_bundle
from operators.errors import BundleError
from tests.builders import write_bundle


def replace(folder: Path) -> None:
    with new_bundle(folder) as part_folder:
        (part_folder / "new").touch()


@pytest.mark.parametrize(
    "make_content", [lambda folder: None, Path.mkdir, write_bundle], ids=["nothing", "empty", "bundle"]
)
def test_what_may_be_replaced(make_content, tmp_path: Path) -> None:
    make_content(tmp_path / "X")
    replace(tmp_path / "X")
    assert [entry.name for entry in (tmp_path / "X").iterdir()] == ["new"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["X"]


def test_a_folder_that_is_no_bundle_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "X" / "notes").mkdir(parents=True)
    (tmp_path / "X" / "notes" / "important.txt").write_text("precious")
    with pytest.raises(BundleError, match=f"{tmp_path}/X; came notes, which no bundle holds") as refused:
        replace(tmp_path / "X")
    assert "Next: name another folder" in str(refused.value)
    assert (tmp_path / "X" / "notes" / "important.txt").read_text() == "precious"


def test_notes_beside_a_bundles_files_are_kept_too(tmp_path: Path) -> None:
    (write_bundle(tmp_path / "X") / "notes.txt").touch()
    with pytest.raises(BundleError, match=r"notes\.txt"):
        check_place(tmp_path / "X")


def test_a_file_and_a_broken_manifest_are_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    for name in ("file", "broken"):
        with pytest.raises(BundleError, match="no bundle holds"):
            check_place(tmp_path / name)


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    write_bundle(tmp_path / "X")
    (tmp_path / "newest").symlink_to(tmp_path / "X")
    replace(tmp_path / "newest")
    assert (tmp_path / "newest").is_symlink() and (tmp_path / "X" / "new").exists()


def test_the_working_folder_is_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thesis.tex").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=r"thesis\.tex"):
        replace(Path())
