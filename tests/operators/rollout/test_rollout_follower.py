"""What is followed, refused, and tried again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from operators.errors import BundleError, StackError
from operators.kafka_io.compacted_table import CompactedTable
from operators.records.contracts import encode_record
from operators.rollout import rollout_follower
from operators.rollout.rollout import Rollout, promoted
from operators.rollout.rollout_follower import Apply, RolloutFollower
from operators.rollout.rollout_rows import RolloutRows
from tests.operators.kafka_io.fake_topic import TOPIC, Topic, until
from tests.operators.rollout.test_rollout import CHANGE, bundle, champion

SECOND = promoted(champion(), bundle(2), CHANGE)
Follow = Callable[..., RolloutFollower]


@pytest.fixture
def follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(rollout_follower, "RETRY_S", 0.01)
    opened = []

    def start(topic: Topic, apply: Apply, *, then: bool = True) -> RolloutFollower:
        table = CompactedTable(TOPIC, tmp_path / "table", topic.connect, RolloutRows())
        follower = RolloutFollower(table, "shop", apply)
        follower.open(5)
        opened.append(follower)
        if then:
            follower.follow()
        return follower

    yield start
    for follower in opened:
        follower.close()


def write(topic: Topic, rollout: Rollout | None, key: str = "shop") -> None:
    topic.append(key, None if rollout is None else encode_record(rollout).decode())


def test_the_newest_rollout_is_applied_at_the_start_and_each_change_after_it(follow: Follow) -> None:
    topic, applied = Topic(), list[Rollout | None]()
    write(topic, champion())
    write(topic, SECOND)
    follower = follow(topic, applied.append)
    assert applied == [SECOND]
    assert follower.revision == 2
    write(topic, None)
    until(lambda: applied == [SECOND, None])
    until(lambda: follower.revision == 0)
    write(topic, champion())
    until(lambda: applied[-1] == champion())


def test_without_a_rollout_nothing_is_applied(follow: Follow) -> None:
    topic, applied = Topic(), list[Rollout | None]()
    write(topic, SECOND, "another job")
    follower = follow(topic, applied.append)
    assert (applied, follower.revision) == ([], 0)


def test_a_bundle_that_must_not_serve_is_refused_once_and_the_next_rollout_is_followed(follow: Follow) -> None:
    topic, tried = Topic(), list[Rollout | None]()

    def apply(rollout: Rollout | None) -> None:
        tried.append(rollout)
        if rollout == SECOND:
            raise BundleError("a bundle that may serve", "NaN", "promote another")

    write(topic, champion())
    follower = follow(topic, apply)
    write(topic, SECOND)
    until(lambda: follower.refused == 1)
    third = promoted(SECOND, bundle(3), CHANGE)
    write(topic, third)
    until(lambda: follower.revision == 3)
    assert tried == [champion(), SECOND, third], "a refused one is not tried again"


def test_a_store_that_is_away_is_asked_again(follow: Follow) -> None:
    topic, failures = Topic(), [StackError("a store", "none", "wait", retriable=True), ValueError("of our own")]

    def apply(rollout: Rollout | None) -> None:
        if failures:
            raise failures.pop()

    write(topic, champion())
    follower = follow(topic, apply)
    until(lambda: follower.revision == 1)
    assert follower.refused == 0


def test_nothing_is_applied_between_open_and_follow(follow: Follow) -> None:
    """Who opens it may apply what is served without a rollout: two at once would mix."""
    topic, applied = Topic(), list[Rollout | None]()
    follower = follow(topic, applied.append, then=False)
    write(topic, champion())
    until(lambda: follower._table.get("shop") == champion())
    assert applied == []
    follower.follow()
    until(lambda: applied == [champion()])


def test_a_rollout_that_serves_without_a_bundle_is_followed_and_applied_again_where_that_may_help(
    follow: Follow,
) -> None:
    topic, tried = Topic(), list[Rollout | None]()
    away = StackError("a store", "none", "wait", retriable=True)
    answers: list[list[Exception]] = [[away], [away, BundleError("a bundle", "NaN", "another")], []]

    def apply(rollout: Rollout | None) -> list[Exception]:
        tried.append(rollout)
        return answers.pop(0)

    write(topic, SECOND)
    follower = follow(topic, apply, then=False)
    assert (follower.revision, follower.refused) == (2, 0)
    follower.follow()
    until(lambda: not answers)
    write(topic, None)  # what is complete is not applied again
    answers.append([])
    until(lambda: not answers)
    assert tried == [SECOND, SECOND, SECOND, None]
    assert follower.refused == 1
