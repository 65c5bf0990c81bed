"""Which savepoints Flink may restore in part."""

from pathlib import Path

import pytest

from operators.configuration.shop_settings import DemandSettings, FeedbackSettings
from operators.settings import Settings
from pipelines.submission.savepoint_operators import (
    DEMAND,
    FEEDBACK,
    RETIRED,
    STATE_ID,
    OptionalOperator,
    leaves_state,
    lost_operators,
)

OTHER_MODE = "00" * 16


def switched(feedback: bool = False, demand: bool = False) -> Settings:
    switches = {"feedback": FeedbackSettings(enabled=feedback), "demand": DemandSettings(enabled=demand)}
    return Settings().model_copy(update=switches)


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
    assert leaves_state(tmp_path.as_uri(), switched(feedback=True, demand=True)) == in_part


@pytest.mark.parametrize(("operator", "operator_id"), [(op, one) for op in (FEEDBACK, DEMAND) for one in op.ids])
@pytest.mark.parametrize("is_on", [True, False])
def test_a_job_leaves_the_state_of_an_operator_behind_that_is_switched_off(
    tmp_path: Path, operator: OptionalOperator, operator_id: str, is_on: bool
) -> None:
    (tmp_path / "_metadata").write_bytes(b"head" + bytes.fromhex(STATE_ID) + bytes.fromhex(operator_id))
    settings = switched(**{operator.setting.split(".")[0]: is_on})
    assert leaves_state(tmp_path.as_uri(), settings) != is_on
    lost = [] if is_on or operator_id != operator.ids[0] else [operator]
    assert lost_operators(tmp_path.as_uri(), settings) == lost


def test_a_savepoint_that_lies_elsewhere_is_left_to_flink() -> None:
    assert not leaves_state("s3://bucket/savepoint-1", switched())
