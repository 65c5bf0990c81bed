"""Each format as its documentation shows it: the events, the rejects and the counts. `golden/README.md` names the pages."""

import pytest

from tests.adapters.golden_imports import FOLDER, FOLDERS, imported


@pytest.mark.parametrize("name", FOLDERS)
def test_a_source_becomes_the_golden_events(name: str) -> None:
    for file, content in imported(name).items():
        assert content.decode() == (FOLDER / name / file).read_text(), f"{name}/{file}"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_second_import_gives_the_same_ids(name: str) -> None:
    assert imported(name) == imported(name)
