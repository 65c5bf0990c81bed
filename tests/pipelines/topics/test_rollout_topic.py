"""Verbs and the guard follow the record that the operators follow."""

from types import SimpleNamespace

import pytest

from operators.records.contracts import MODELS, encode_record
from operators.rollout.rollout import Rollout, promoted, rolled_back
from operators.settings import Settings
from pipelines.monitor.rollout_guard import RolloutGuard
from pipelines.topics.rollout_topic import newest_of, taken_back_of
from tests.operators.rollout.test_rollout import CHANGE, bundle, champion

FIRST = champion()
SECOND = promoted(FIRST, bundle(2), CHANGE)
BACK = rolled_back(SECOND, CHANGE)
GARBAGE = SimpleNamespace(key=b"shop", value=b"\xff", headers=[], timestamp=70)


def written(rollout: Rollout | None, job: str = "shop") -> SimpleNamespace:
    value = None if rollout is None else encode_record(rollout)
    return SimpleNamespace(key=job.encode(), value=value, headers=[], timestamp=50)


CASES = pytest.mark.parametrize(
    ("records", "followed"),
    [
        ([], None),
        ([written(FIRST), written(SECOND)], SECOND),
        ([written(SECOND), GARBAGE], SECOND),
        ([written(SECOND), written(FIRST)], SECOND),  # of a lower revision
        ([written(SECOND), written(None), written(FIRST)], FIRST),
        ([written(SECOND), written(None)], None),
        ([written(FIRST), written(SECOND, "another")], FIRST),
    ],
)


@CASES
def test_verbs_change_what_the_operators_follow(records: list[SimpleNamespace], followed: Rollout | None) -> None:
    assert newest_of(records, "shop") == followed


@pytest.mark.parametrize(
    ("records", "since_ms"),
    [
        ([], None),
        ([written(FIRST), written(SECOND)], None),
        ([written(FIRST), written(SECOND), written(BACK)], CHANGE.at),
        ([written(BACK), written(promoted(BACK, bundle(3), CHANGE))], None),
        ([written(FIRST), written(None)], 50),  # the end of the rollout has the broker's time
        ([written(FIRST), written(None), GARBAGE], 50),
        ([written(None), written(FIRST)], None),
        ([written(FIRST), written(None, "another")], None),
    ],
)
def test_since_when_a_bundle_is_taken_back(records: list[SimpleNamespace], since_ms: int | None) -> None:
    assert taken_back_of(records, "shop") == since_ms


@CASES
def test_the_guard_watches_what_the_operators_follow(records: list[SimpleNamespace], followed: Rollout | None) -> None:
    settings = Settings()
    guard = RolloutGuard(settings.model_copy(update={"job": settings.job.model_copy(update={"name": "shop"})}))
    for record in records:
        guard._take(MODELS, record)
    assert guard._rollout == followed
