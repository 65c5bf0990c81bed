"""Verbs and the guard follow the record that the operators follow."""

from types import SimpleNamespace

import pytest

from operators.records.contracts import MODELS, encode_record
from operators.rollout.rollout import Rollout, promoted
from operators.settings import Settings
from pipelines.monitor.rollout_guard import RolloutGuard
from pipelines.topics.rollout_topic import newest_of
from tests.operators.rollout.test_rollout import CHANGE, bundle, champion

FIRST = champion()
SECOND = promoted(FIRST, bundle(2), CHANGE)
GARBAGE = SimpleNamespace(key=b"shop", value=b"\xff", headers=[])


def written(rollout: Rollout | None, job: str = "shop") -> SimpleNamespace:
    return SimpleNamespace(key=job.encode(), value=None if rollout is None else encode_record(rollout), headers=[])


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


@CASES
def test_the_guard_watches_what_the_operators_follow(records: list[SimpleNamespace], followed: Rollout | None) -> None:
    settings = Settings()
    guard = RolloutGuard(settings.model_copy(update={"job": settings.job.model_copy(update={"name": "shop"})}))
    for record in records:
        guard._take(MODELS, record)
    assert guard._rollout == followed
