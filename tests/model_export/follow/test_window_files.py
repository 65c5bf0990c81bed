"""The files that the gate reads, and what a killed trainer leaves of them."""

from pathlib import Path

from model_export.follow.window_files import JudgeGate
from operators.configuration.shop_settings import EventSettings, GateLimits


def test_events_that_a_killed_trainer_left_in_plain_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / "gate-x1y2").mkdir()
    (tmp_path / "gate-x1y2" / "newest.jsonl").write_text('{"user_id": "u1"}\n')
    (tmp_path / "history").mkdir()
    JudgeGate(GateLimits(), EventSettings(), tmp_path)
    JudgeGate(GateLimits(), EventSettings(), tmp_path / "not made yet")
    assert [entry.name for entry in tmp_path.iterdir()] == ["history"]
