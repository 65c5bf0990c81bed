import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.demo import replay_effect
from pipelines.demo.replay_effect import ReplayEffect


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """The job's counts of all events and of duplicates, one a call; repeats the last."""
    (tmp_path / "operator-0.json").touch()
    answers = {"all": [0], "duplicate": [0]}

    def total(targets: Path, metric: str, outcome: str = "all") -> int:
        counts_left = answers[outcome]
        return counts_left.pop(0) if len(counts_left) > 1 else counts_left[0]

    monkeypatch.setattr(replay_effect, "operator_total", total)
    monkeypatch.setattr(replay_effect, "WAIT_S", 0.5)
    monkeypatch.setattr(replay_effect, "time", SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic))
    return answers


def test_a_second_replay_is_known_already(counts: dict[str, list[int]], tmp_path: Path) -> None:
    counts.update(all=[900, 1200, 1800], duplicate=[5, 300, 905])
    assert ReplayEffect(tmp_path).known_already(900) == 900


def test_a_first_one_is_not(counts: dict[str, list[int]], tmp_path: Path) -> None:
    counts.update(all=[0, 900], duplicate=[0, 0])
    assert ReplayEffect(tmp_path).known_already(900) == 0


def test_where_no_job_says_or_one_is_behind_nothing_is_known(counts: dict[str, list[int]], tmp_path: Path) -> None:
    counts.update(all=[0, 10])
    assert ReplayEffect(tmp_path).known_already(900) is None
    assert ReplayEffect(tmp_path / "none").known_already(900) is None
