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
    assert '-m pytest tests -m "not manual"' in recipe("test-all")
    assert '-m pytest tests/faults -m "not soak"' in recipe("faults")
    assert "-m pytest tests/faults -m soak" in recipe("soak")
    mine, faults = Path("tests/deploy/test_make.py"), Path("tests/faults")
    files = {file.relative_to(ROOT): file.read_text() for file in (ROOT / "tests").rglob("*.py")}
    manual = {file for file, text in files.items() if "mark.manual" in text} - {mine}
    others = {file for file in manual if not file.is_relative_to(faults)}
    assert others == {Path("tests/stack/records/test_planted_drift.py")} and str(others.pop()) in recipe("drift")
