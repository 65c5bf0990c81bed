"""Which savepoints Flink may restore in part."""

from pathlib import Path

import pytest

from pipelines.submission.savepoint_operators import RETIRED, STATE_ID, holds_retired

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
    assert holds_retired(tmp_path.as_uri()) == in_part


def test_a_savepoint_that_lies_elsewhere_is_left_to_flink() -> None:
    assert not holds_retired("s3://bucket/savepoint-1")
