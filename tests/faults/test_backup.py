"""A backup under load, everything lost, restored into an empty stack, and compared with the oracle."""

import json
from pathlib import Path

import pytest

from operators.errors import StackError
from pipelines.backup import read_manifest
from tests.faults.test_state import Shoppers
from tests.running_stack import Stack

pytestmark = pytest.mark.slow


def test_a_backup_is_restored_into_an_empty_stack(stack: Stack, job: str, demo_bundle: Path, tmp_path: Path) -> None:
    shoppers = Shoppers(stack, "backup")
    shoppers.act(20_000)
    saved = json.loads(stack.liveshelf("backup", str(tmp_path), "--keep", "2", "--json").stdout)
    folder = Path(saved["folder"])
    oracle = shoppers.oracle()
    stack.lose_everything()
    answer = json.loads(stack.liveshelf("restore", str(folder), "--json").stdout)
    assert answer["records"] == saved["records"]
    stack.serving = (str(demo_bundle), {})
    shoppers.start_anew(oracle)
    shoppers.check(
        "backup, everything lost, restore: states and lists",
        f"{sum(saved['records'].values())} records back;",
        struck="every disk emptied",
    )
    shoppers.act(5000)
    shoppers.check("the shop goes on after the restore")
    stack.liveshelf("stop")
    stack.liveshelf("resume", "--bundle", str(demo_bundle))
    shoppers.act(5000)
    shoppers.check("stopped and resumed after the restore")
    said = stack.liveshelf("restore", str(folder), ok=False).stderr
    assert "empty topic" in said, "a stack that holds something is left alone"


def test_a_damaged_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "savepoint").mkdir()
    (tmp_path / "savepoint" / "_metadata").write_bytes(b"half")
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {"savepoint/_metadata": "other"}}))
    with pytest.raises(StackError, match="older backup"):
        read_manifest(tmp_path)
    with pytest.raises(StackError, match=r"manifest\.json"):
        read_manifest(tmp_path / "nothing")
