"""Writers at once: what a fenced writer does, and what becomes of an answer that is lost."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError, ProducerFencedError, TransactionalIdAuthorizationFailedError

from operators.errors import BrokerError, RolloutError
from operators.rollout.rollout import Change, Rollout, promoted, rolled_back, split
from operators.settings import Settings
from pipelines.topics import rollout_topic, sole_writer
from pipelines.topics.rollout_topic import change_rollout, read_newest, writer_of
from tests.operators.rollout.test_rollout import CHANGE, bundle, champion


class Broker:
    """One topic, and the transactions of one transactional id."""

    def __init__(self) -> None:
        self.records, self.epoch = list[SimpleNamespace](), 0
        self.ids = set[str]()
        self.lost_answers = 0  # commits that succeed and whose answers do not come
        self.refused = False

    def producer(self, _: object, transactional_id: str, **options: object) -> "Producer":
        self.ids.add(transactional_id)
        return Producer(self)

    def read(self, *_: object) -> Iterator[SimpleNamespace]:
        return iter([*self.records])


class Producer:
    def __init__(self, broker: Broker) -> None:
        self._broker, self._sent = broker, list[SimpleNamespace]()

    def init_transactions(self) -> None:
        if self._broker.refused:
            raise TransactionalIdAuthorizationFailedError
        self._broker.epoch += 1
        self._epoch = self._broker.epoch

    def begin_transaction(self) -> None:
        pass

    def send(self, topic: str, key: bytes, value: bytes | None) -> Any:
        self._sent.append(SimpleNamespace(key=key, value=value, headers=[]))
        return SimpleNamespace(get=lambda _: None)

    def commit_transaction(self) -> None:
        if self._epoch != self._broker.epoch:
            raise ProducerFencedError
        self._broker.records += self._sent
        if self._broker.lost_answers:
            self._broker.lost_answers -= 1
            raise KafkaTimeoutError

    def close(self, timeout: float) -> None:
        pass


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(sole_writer, "new_producer", broker.producer)
    monkeypatch.setattr(rollout_topic, "read_topic", broker.read)
    monkeypatch.setattr(sole_writer, "PAUSE_S", 0)
    return broker


SETTINGS = Settings.model_construct()


def test_of_two_verbs_at_once_one_fails_and_says_why_and_none_is_lost(broker: Broker) -> None:
    change_rollout(SETTINGS, lambda now, change: promoted(now, bundle(1), change), "first", "somebody")
    change_rollout(SETTINGS, lambda now, change: promoted(now, bundle(2), change), "second", "somebody")

    def slow_split(now: Rollout | None, change: Change) -> Rollout:
        change_rollout(SETTINGS, rolled_back, "empty lists", "guard")
        return split(now, bundle(3), 0.5, change)

    with pytest.raises(RolloutError, match="revision 3 by guard: empty lists") as raised:
        change_rollout(SETTINGS, slow_split, "try it")
    assert raised.value.retriable
    newest = read_newest(SETTINGS)
    assert newest is not None and (newest.champion, newest.revision, newest.challengers) == (bundle(1), 3, ())
    assert broker.ids == {writer_of(SETTINGS.job.name)}


def test_a_rollout_that_was_ended_meanwhile_is_not_changed(broker: Broker) -> None:
    change_rollout(SETTINGS, lambda now, change: promoted(now, bundle(1), change), "first")

    def slow(now: Rollout | None, change: Change) -> Rollout:
        change_rollout(SETTINGS, lambda now, change: None, "reset")
        return promoted(now, bundle(2), change)

    with pytest.raises(RolloutError, match="its end"):
        change_rollout(SETTINGS, slow, "second")
    assert read_newest(SETTINGS) is None


@pytest.mark.parametrize("lost", [1, 3])
def test_where_the_answer_to_a_commit_is_lost_the_verb_is_not_applied_twice(broker: Broker, lost: int) -> None:
    before = promoted(champion(), bundle(2), CHANGE)
    change_rollout(SETTINGS, lambda now, change: before, "planted")
    broker.lost_answers = lost
    _, after = change_rollout(SETTINGS, rolled_back, "empty lists")
    assert after is not None and (after.champion, after.revision) == (bundle(1), 3)
    assert read_newest(SETTINGS) == after, "a second rollback would bring back what the first took away"


def test_a_writer_that_may_not_write_is_told_at_once_and_an_absent_broker_after_some_tries(broker: Broker) -> None:
    broker.refused = True
    with pytest.raises(BrokerError, match="right"):
        change_rollout(SETTINGS, lambda now, change: promoted(now, bundle(1), change), "first")
    broker.refused, broker.lost_answers = False, 99
    with pytest.raises(BrokerError):
        change_rollout(SETTINGS, lambda now, change: promoted(now, bundle(1), change), "first")
