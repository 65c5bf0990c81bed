"""What runs which tests: none is left out by all of them."""

import re
from pathlib import Path

from tests.places import ROOT


def recipe(target: str) -> str:
    """The lines of a target of the Makefile."""
    (lines,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return str(lines)


def test_ci_runs_all_but_the_manual_tests_and_a_target_of_their_own_runs_each_of_those() -> None:
    assert "make test-all" in (ROOT / ".ci" / "run").read_text()
    for target, left_out in (("test", "not slow and not manual"), ("test-all", "not manual")):
        assert f'-m pytest $(WITHOUT_STACK) -m "{left_out}"' in recipe(target)
        assert f'-m pytest tests/stack tests/faults -m "{left_out}"' in recipe(target)
    (others,) = re.findall("^WITHOUT_STACK := tests (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall("--ignore (\\S+)", others) == ["tests/stack", "tests/faults"]
    assert '-m pytest tests/faults -m "not soak"' in recipe("faults")
    assert "-m pytest tests/faults -m soak" in recipe("soak")
    mine, faults = Path("tests/deploy/test_make.py"), Path("tests/faults")
    files = {file.relative_to(ROOT): file.read_text() for file in (ROOT / "tests").rglob("*.py")}
    manual = {file for file, text in files.items() if "mark.manual" in text} - {mine}
    others = {file for file in manual if not file.is_relative_to(faults)}
    assert others == {Path("tests/stack/records/test_planted_drift.py")} and str(others.pop()) in recipe("drift")
