"""Which savepoints Flink may restore in part."""

from pathlib import Path

import pytest

from pipelines.submission.savepoint_operators import FEEDBACK_IDS, RETIRED, STATE_ID, holds_feedback, leaves_state

OTHER_MODE = "00" * 16


@pytest.mark.parametrize(
    ("operators", "in_part"),
    [
        ((STATE_ID, RETIRED[0]), True),
        ((STATE_ID,), False),
        ((OTHER_MODE, RETIRED[0]), False),
    ],
    ids=["from before the receipts", "of today", "of another execution mode"],
)
def test_only_a_savepoint_with_the_users_state_may_lose_what_is_retired(
    tmp_path: Path, operators: tuple[str, ...], in_part: bool
) -> None:
    (tmp_path / "_metadata").write_bytes(b"head" + b"between".join(map(bytes.fromhex, operators)))
    assert leaves_state(tmp_path.as_uri(), feedback=True) == in_part


@pytest.mark.parametrize("operator_id", FEEDBACK_IDS)
@pytest.mark.parametrize("feedback", [True, False])
def test_a_job_without_the_feedback_join_leaves_its_state_behind(
    tmp_path: Path, operator_id: str, feedback: bool
) -> None:
    (tmp_path / "_metadata").write_bytes(b"head" + bytes.fromhex(STATE_ID) + bytes.fromhex(operator_id))
    assert leaves_state(tmp_path.as_uri(), feedback=feedback) != feedback
    assert holds_feedback(tmp_path.as_uri()) == (operator_id == FEEDBACK_IDS[0])


def test_a_savepoint_that_lies_elsewhere_is_left_to_flink() -> None:
    assert not leaves_state("s3://bucket/savepoint-1", feedback=False)
