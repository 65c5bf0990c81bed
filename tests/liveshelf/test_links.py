"""The README and the docs: every link leads to a file, and every verb that they name exists."""

import re

import pytest

from tests.liveshelf.every_verb.verbs import verbs
from tests.places import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
VERBS = {name.split()[0] for name, _ in verbs()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_every_verb_of_a_page_exists(page) -> None:
    text = page.read_text()
    links = re.findall(r"\]\((?!http)([^)#]+)", text)
    assert [target for target in links if not (page.parent / target).exists()] == []
    assert set(re.findall(r"`(?:\.venv/bin/)?liveshelf ([a-z-]+)", text)) <= VERBS
