"""`liveshelf models gate`: exit codes, machine output, reasons, the page."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from liveshelf.main import app
from model_export.gate.report import GateReport
from operators.model.bundle_files import file_hash
from tests.builders import write_bundle
from tests.model_export.gate.shops import ITEMS, shuffled, write_walks


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    shuffled(write_bundle(folder / "champion", ITEMS), folder / "shuffled")
    write_walks(folder / "events.jsonl")
    return folder


def gate(shop: Path, candidate: str, *words: str) -> Result:
    named = ["--champion", str(shop / "champion"), "--events", str(shop / "events.jsonl")]
    return CliRunner().invoke(app, ["models", "gate", str(shop / candidate), *named, *words])


def test_a_passed_candidate_exits_0_and_a_refused_one_1(shop: Path) -> None:
    passed, refused = gate(shop, "champion"), gate(shop, "shuffled")
    assert (passed.exit_code, refused.exit_code) == (0, 1), passed.output + refused.output
    assert "passed: known 1 against known 1" in passed.output and "refused: known 1" in refused.output


def test_json_is_the_report(shop: Path) -> None:
    ran = gate(shop, "shuffled", "--json")
    report = msgspec.json.decode(ran.stdout, type=GateReport)
    assert ran.exit_code == 1 and not report.passed and report.failed
    assert report.candidate.manifest_sha256 == file_hash(shop / "shuffled" / "manifest.json")
    assert json.loads(ran.stdout)["lines"][0]["name"] == "bundle"


def test_why_names_the_lines_that_failed_and_what_to_do(shop: Path) -> None:
    reasons = [line for line in gate(shop, "shuffled", "--why").output.splitlines() if ": expected " in line]
    assert [reason.split(":")[0] for reason in reasons] == ["popularity", "hit@20", "MRR@20", "NDCG@20", "overlap@20"]
    assert all("; came " in reason and " Next: " in reason for reason in reasons)


def test_the_page_is_one_file_without_addresses(shop: Path, tmp_path: Path) -> None:
    ran = gate(shop, "shuffled", "--report", str(tmp_path / "pages"))
    (page,) = (tmp_path / "pages").iterdir()
    text = page.read_text()
    assert ran.exit_code == 1 and page.name == "shuffled.html" and text.count("<figure>") == 4
    assert "refused</span>" in text and "hit@20" in text
    addresses = set(re.findall(r"https?://[^\"' <]*", text))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}, "names of SVG, never fetched"
    assert not re.search(r"<(script|link|img)|url\((?!#)", text)
    again = gate(shop, "shuffled", "--report", str(tmp_path / "pages"))
    assert again.exit_code == 1 and len([*(tmp_path / "pages").iterdir()]) == 1


def test_a_page_replaces_no_other_file(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "shuffled.html").write_text("mine")
    ran = gate(shop, "shuffled", "--report", str(tmp_path))
    assert "move this one away" in str(ran.exception) and (tmp_path / "shuffled.html").read_text() == "mine"
