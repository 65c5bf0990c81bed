"""What users did before an experiment, from a file and from the topic of examples."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operators.errors import LiveshelfError
from pipelines.reports.experiment_history import outcomes_before, read_history
from tests.pipelines.reports.test_experiment_examples import record

START = 10_000


def at(timestamp: int, **fields: Any) -> SimpleNamespace:
    return SimpleNamespace(value=record(**fields).value, timestamp=timestamp)


def test_a_file_gives_each_user_a_value(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text('u1,3\n"u,2",0.5\n')
    assert read_history(file) == {"u1": 3.0, "u,2": 0.5}


@pytest.mark.parametrize("line", ["u2", "u2,many", "u2,nan", "u2,inf", "u1,4", "u2,1,1", ""])
def test_another_line_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "history.csv"
    file.write_text(f"u1,3\n{line}\nu3,1\n")
    with pytest.raises(LiveshelfError, match="in line 2"):
        read_history(file)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"\xff\xfe\x00")
    for name in ("none", "raw"):
        with pytest.raises(LiveshelfError, match="a CSV file of user_id,value"):
            read_history(tmp_path / name)


def test_outcomes_count_as_far_as_they_were_written_before_the_start() -> None:
    records = [
        at(1, example_id="a", user_id="u1"),
        at(2, example_id="a", user_id="u1", revision=1, label="click"),
        at(3, example_id="b", user_id="u1", label="purchase"),
        at(4, example_id="c", user_id="u2"),
        at(START, example_id="c", user_id="u2", revision=1, label="click"),
        at(START + 1, example_id="d", user_id="u3", label="click"),
        SimpleNamespace(value=b"\xff", timestamp=5),
    ]
    assert outcomes_before(records, START, "click") == {"u1": 2.0, "u2": 0.0}
    assert outcomes_before(records, START, "purchase") == {"u1": 1.0, "u2": 0.0}
