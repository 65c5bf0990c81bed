"""What a reader follows in README and docs/: links, paths, names of functions, and pointers from the code."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tests.liveshelf.every_verb.verbs import verbs
from tests.places import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
ROOMS = ("benchmarks", "deploy", "liveshelf", "model_export", "operators", "pipelines", "storefront", "tests")
ARCHITECTURE = ROOT / "docs" / "architecture.md"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def status_of(record: Path) -> str:
    (status,) = re.findall(r"^- Status: (.*)$", record.read_text(), re.MULTILINE)
    return status


def names_in(file: Path) -> set[str]:
    """Functions and classes of a module, and methods as CLASS.METHOD; methods of a Java class."""
    if file.suffix == ".java":
        return {*re.findall(r"^    (?:\w+ )+[^=;]*?(\w+)\(", file.read_text(), re.MULTILINE)}
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tree = [node for node in ast.parse(file.read_text()).body if isinstance(node, defined)]
    methods = {f"{node.name}.{method.name}" for node in tree for method in node.body if isinstance(method, defined)}
    return {node.name for node in tree} | methods


@cache
def members_of_classes() -> dict[str, set[str]]:
    """Class -> names that its body defines, of all classes of that name."""
    members = defaultdict[str, set[str]](set)
    for file in (file for room in ROOMS for file in (ROOT / room).rglob("*.py")):
        for owner in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)):
            for node in owner.body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    members[owner.name].add(node.name)
                elif isinstance(node, ast.AnnAssign | ast.Assign):
                    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
                    members[owner.name] |= {target.id for target in targets if isinstance(target, ast.Name)}
    return members


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_verb_of_a_page_exists(page: Path) -> None:
    named = set(re.findall(r"`(?:\.venv/bin/)?liveshelf ([a-z-]+)", page.read_text()))
    assert named <= {name.split()[0] for name, _ in verbs()}


def test_the_index_of_the_docs_lists_every_page() -> None:
    listed = set(re.findall(r"^\| \[[^]]+\]\(([^)]+)\)", (ROOT / "docs" / "README.md").read_text(), re.MULTILINE))
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert listed == pages | {"decisions/README.md", "notebook/README.md"}


def test_every_hop_of_a_click_names_a_function_that_exists() -> None:
    hops = re.findall(r"^\| \d+ [^|]+\| `([^`]+)` \| `([^`]+)` \|$", ARCHITECTURE.read_text(), re.MULTILINE)
    assert len(hops) > 20
    for file, name in hops:
        assert name in names_in(ROOT / file), f"{file}: {name}"


def test_every_word_of_the_code_that_the_glossary_explains_stands_in_its_file() -> None:
    words = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \(`(\w+\.py)`\) \|", ARCHITECTURE.read_text(), re.MULTILINE)
    assert len(words) > 3
    for names, name in words:
        text = "".join(file.read_text() for room in ROOMS for file in (ROOT / room).rglob(name))
        for word in re.findall(r"\w+", names):
            assert re.search(rf"\b{word}\b", text), f"{name}: {word}"


@pytest.mark.parametrize(
    "page",
    [ARCHITECTURE, *(record for record in RECORDS if status_of(record).startswith("in force"))],
    ids=lambda page: page.stem,
)
def test_every_path_of_what_holds_today_exists(page: Path) -> None:
    for path in re.findall(r"`([\w/.-]+)`", page.read_text()):
        if path.split("/")[0] in (*ROOMS, "docs") and "/" in path:
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    "page",
    [ARCHITECTURE, *(record for record in RECORDS if status_of(record).startswith("in force"))],
    ids=lambda page: page.stem,
)
def test_every_method_of_what_holds_today_exists(page: Path) -> None:
    for owner, member in re.findall(r"`([A-Z]\w+)\.(\w+)(?:\(\))?`", page.read_text()):
        members = members_of_classes().get(owner)
        assert members is None or member in members, f"{owner}.{member}"


def test_every_pointer_from_the_code_leads_to_a_page() -> None:
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*") if file.suffix in (".py", ".xml", ".toml")]
    for file in (*files, ROOT / "Makefile", ROOT / "liveshelf.toml", ROOT / "pyproject.toml"):
        for path in re.findall(r"\bdocs/[\w/-]+\.md\b", file.read_text()):
            assert (ROOT / path).exists(), f"{file.relative_to(ROOT)}: {path}"


def test_the_index_lists_every_decision_with_its_title_and_status() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    rows = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| ([^|]+) \| ([^|]+) \| \d{4}-\d\d-\d\d \|$", index, re.MULTILINE)
    written = [(record.stem[:4], record.name, titled(record), status_of(record).split(";")[0]) for record in RECORDS]
    assert rows == written


def titled(record: Path) -> str:
    return record.read_text().split("\n", 1)[0].removeprefix(f"# {record.stem[:4]}: ")


def test_a_superseded_decision_and_its_successor_name_each_other() -> None:
    links = [(record, status_of(record)) for record in RECORDS if "superse" in status_of(record)]
    assert links
    for record, status in links:
        (other,) = re.findall(r"\]\(([^)]+)\)", status)
        assert record.name in status_of(record.parent / other), record.name
