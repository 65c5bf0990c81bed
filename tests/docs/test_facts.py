"""Facts of the pages that the code or the manifest of the demo's bundle says too."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from operators.records.topic_specs import TOPICS
from tests.places import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
SETTINGS = tomllib.loads((ROOT / "liveshelf.toml").read_text())
MANIFEST = json.loads((ROOT / SETTINGS["bundle"]["path"] / "manifest.json").read_text())


def section(page: Path, heading: str) -> str:
    """The text of a page from a heading to the next one of its level."""
    level = heading.split(" ")[0]
    return re.split(rf"^{level} ", page.read_text().split(f"\n{heading}\n")[1], flags=re.MULTILINE)[0]


@pytest.mark.parametrize(
    ("page", "heading"),
    [(ROOT / "README.md", "## How good are the lists?"), (DOCS / "train.md", "### The demo's shop")],
    ids=["README", "train"],
)
def test_the_figures_of_the_demos_bundle_are_those_of_its_manifest(page: Path, heading: str) -> None:
    rows = re.findall(r"^\| (?!model)([^|]+) \|((?: [\d.*]+ \|)+)$", section(page, heading), re.MULTILINE)
    figures = {name.strip("*"): [float(cell.strip(" *")) for cell in cells.split("|")[:-1]] for name, cells in rows}
    for model, measured in MANIFEST["metrics"]["test"].items():
        (name,) = [name for name in figures if name.startswith(model.split(" (")[0])] or [""]
        if not name:
            assert model == "session popularity" and page.name == "README.md", model
            continue
        assert figures[name] == pytest.approx([*measured.values()], abs=0.000501), name


def test_the_pages_say_that_the_demo_has_no_click_probability() -> None:
    said = [page for page in ("lists.md", "train.md") if "`p_click`" in (DOCS / page).read_text()]
    demos = [page for page in said if re.search(r"The demo's\s+bundle", (DOCS / page).read_text())]
    assert demos == (said if MANIFEST["settings"]["session"] == 0 else []), (
        "the demo's bundle serves p_click now: say so"
    )


@pytest.mark.parametrize("page", ["operate.md", "security.md"])
def test_every_act_of_the_audit_log_is_on_the_page(page: str) -> None:
    """`record_act` gets the verb; `_change` and `_audit` pass it on for `liveshelf models` and `experiments`."""
    call = re.compile(r'\b(record_act|_audit|_change)\(\s*[\w.()]+,\s*"([a-z -]+)"')
    files = [file for room in ("liveshelf", "pipelines") for file in (ROOT / room).rglob("*.py")]
    calls = [found for file in files for found in call.findall(file.read_text())]
    acts = {f"models {verb}" if function == "_change" else verb for function, verb in calls}
    assert len(acts) > 12
    text = (DOCS / page).read_text()
    assert [act for act in sorted(acts) if f"`{act}`" not in text] == []


def test_a_page_names_every_setting_of_events_lists_and_the_job() -> None:
    text = "".join(page.read_text() for page in PAGES)
    names = [f"{table}.{name}" for table in ("events", "lists", "job", "scorer", "monitor") for name in SETTINGS[table]]
    assert [name for name in names if not re.search(rf"`{re.escape(name)}\b", text)] == []


def test_every_port_of_metrics_is_in_the_table_of_the_local_stack() -> None:
    stack = section(DOCS / "operate.md", "## The local stack")
    ports = [SETTINGS["monitor"]["port"], *(SETTINGS[part]["metrics_port"] for part in ("job", "scorer", "trainer"))]
    assert [port for port in ports if f":{port}/metrics" not in stack] == []


def test_an_erasure_names_every_topic_that_holds_user_ids() -> None:
    erasing = section(DOCS / "events.md", "## Erasing a user")
    assert [topic.name for topic in TOPICS if topic.key == "user_id" and f"`{topic.name}`" not in erasing] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_command_to_copy_runs_the_systems_python(page: Path) -> None:
    """Liveshelf is installed into .venv alone."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    shell = "\n".join(text for language, text in blocks if language in ("", "sh", "bash"))
    assert re.findall(r"^(?:.*\$\()?(?:pip|python)[\d.]* .*$", shell, re.MULTILINE) == []
