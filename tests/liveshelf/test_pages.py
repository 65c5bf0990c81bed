"""The pages of the docs that are made from the code."""

import ast
import re

from liveshelf.pages import api_page, cli_page
from tests.liveshelf.every_verb.verbs import verbs
from tests.places import ROOT


def test_the_page_of_commands_is_the_one_that_the_code_makes() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == cli_page.page(), "run `make reference`"


def test_the_page_of_the_python_api_is_the_one_that_the_code_makes() -> None:
    assert (ROOT / "docs" / "python.md").read_text() == api_page.page(), "run `make reference`"


def test_every_command_is_on_the_page_with_an_example() -> None:
    _, *entries = cli_page.page().split("\n### liveshelf ")
    by_name = dict(entry.split("\n", 1) for entry in entries)
    assert by_name.keys() == {name for name, _ in verbs()}
    assert [name for name, text in by_name.items() if not re.search(f"```bash\n.*liveshelf {name}", text)] == []


def test_every_section_of_the_api_has_what_it_names() -> None:
    for pattern, names in api_page.SECTIONS.values():
        files = [*ROOT.glob(pattern)]
        assert files, f"no file {pattern}"
        defined = {getattr(node, "name", "") for path in files for node in ast.parse(path.read_text()).body}
        assert set(names) <= defined


def test_an_option_has_its_default_and_range_in_columns_of_their_own() -> None:
    rate = cli_page._row("--rate <float range>", "Events a second.  [default: 500; x>=0.001]")
    assert rate == ("`--rate <float range>`", "Events a second.", "`500`", "`x>=0.001`")
    row = cli_page._row("--out <path>", "[required]")
    assert row == ("`--out <path>`", "", "required", "")
    assert cli_page._table([row]) == "\n| option | default |\n|---|---|\n| `--out <path>` | required |\n"
    assert cli_page._table([]) == ""


def test_a_tree_in_a_docstring_stays_a_drawing() -> None:
    module = ast.parse('"""The errors.\n\nBase\n├── One   first\n└── Two   second\n"""')
    assert api_page._prose(module) == "\nThe errors.\n\n```text\nBase\n├── One   first\n└── Two   second\n```\n"
