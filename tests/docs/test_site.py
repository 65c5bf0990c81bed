"""The site of `make docs`: every link leads somewhere, and a page loads nothing from an outside address."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from tests.places import ROOT

OUTSIDE = re.compile(r"\s*(https?:)?//", re.IGNORECASE)
IN_A_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)
LOADED = ("src", "srcset", "poster", "data", "xlink:href")  # attributes whose address a browser loads by itself


class Loads(HTMLParser):
    """Outside addresses that a browser loads when it shows a page; a link that a reader follows is none."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.outside: list[str] = IN_A_STYLE.findall(html)
        self.classes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if (name in LOADED or (tag in ("link", "use") and name == "href")) and OUTSIDE.match(value or ""):
                self.outside.append(str(value))
            if name == "class":
                self.classes |= set((value or "").split())


def build(folder: Path, *options: str) -> tuple[int, str]:
    """Exit code and output of a build into the folder."""
    words = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder), *options]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    code, output = build(folder)
    assert code == 0, output
    return folder


def test_no_page_loads_anything_from_outside(site: Path) -> None:
    pages = {path: Loads(path.read_text()) for path in site.rglob("*.html")}
    assert len(pages) > 15
    assert {path.name: page.outside for path, page in pages.items() if page.outside} == {}
    # the theme's script loads Mermaid from outside, on a page that has a diagram for it
    assert [path.name for path, page in pages.items() if "mermaid" in page.classes] == []
    styles = {path.name: IN_A_STYLE.findall(path.read_text()) for path in site.rglob("*.css")}
    assert {name: outside for name, outside in styles.items() if outside} == {}


def test_the_search_needs_no_server(site: Path) -> None:
    """Its index is a script, and where a browser refuses a worker, ours is there before the theme asks for one."""
    assert (site / "search" / "search_index.js").read_text().startswith("var __index")
    html = (site / "index.html").read_text()
    assert -1 < html.find("javascripts/iframe-worker.js") < html.find("assets/javascripts/bundle")


def test_no_list_and_no_table_is_taken_for_text(site: Path) -> None:
    """Unlike GitHub, the site's Markdown wants an empty line before each."""
    for path in site.rglob("*.html"):
        for text in re.findall(r"<p>(.*?)</p>", path.read_text(), re.DOTALL):
            assert not re.search(r"^([-*|]|\d+\.) ", text, re.MULTILINE), f"{path.name}: {text}"


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/a.css">',
        '<img src="http://img.example/a.png">',
        "<style>@import 'https://fonts.example/a.css';</style>",
        '<p style="background: url(https://img.example/a.png)">',
    ],
)
def test_an_outside_address_is_noticed(html: str) -> None:
    assert len(Loads(html).outside) == 1
    assert Loads('<a href="https://kafka.example">Kafka</a><img src="images/a.png">').outside == []


def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "README.md").write_text(
        "# A\n\n[page](none.md), [section](README.md#none), [file](../none.py), [fine](../mkdocs.yml)"
    )
    hooks = [str(ROOT / "liveshelf" / "pages" / "site_hooks.py")]
    config = tmp_path / "mkdocs.yml"
    config.write_text(yaml.safe_dump({"INHERIT": str(ROOT / "mkdocs.yml"), "hooks": hooks, "nav": ["README.md"]}))
    code, output = build(tmp_path / "site", "--config-file", str(config))
    assert code == 1
    for target in ("none.md", "#none", "../none.py"):
        assert sum(target in line for line in output.splitlines() if line.startswith("WARNING")) == 1, output
    assert "3 warnings" in output
