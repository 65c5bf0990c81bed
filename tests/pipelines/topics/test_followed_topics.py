"""What a following trainer reads of the topics, and from where."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaError

from operators.records.contracts import CATALOGUE, ERASURES, EVENTS, EXAMPLES
from operators.settings import KafkaSettings, Settings
from pipelines.topics import followed_topics
from pipelines.topics.followed_topics import FollowedTopics


@dataclass
class Broker:
    """One partition a topic; `begins`: what retention has removed; `since`: the offset of a week ago; `ids`: of topics."""

    logs: dict[str, list[Any]] = field(default_factory=dict)
    begins: dict[str, int] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    group: str | None = None
    committed: dict[str, int] = field(default_factory=dict)
    refuses_commits: bool = False
    ids: dict[str, str] = field(default_factory=dict)

    def append(self, topic: str, *values: str) -> None:
        log = self.logs.setdefault(topic, [])
        for value in values:
            log.append(SimpleNamespace(topic=topic, partition=0, offset=len(log), value=value.encode()))

    def consumer(self, settings: KafkaSettings, **options: Any) -> "Consumer":
        self.group = options["group_id"]
        return Consumer(self)


@dataclass
class Consumer:
    broker: Broker
    positions: dict[TopicPartition, int] = field(default_factory=dict)

    @property
    def _cluster(self) -> Any:
        return SimpleNamespace(topic_id=self.broker.ids.get)

    def topics(self) -> set[str]:
        return {*self.broker.logs}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0}

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.positions = dict.fromkeys(partitions, 0)

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self.broker.begins.get(partition.topic, 0) for partition in partitions}

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: len(self.broker.logs.get(partition.topic, [])) for partition in partitions}

    def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        offsets = {partition: self.broker.since.get(partition.topic, 0) for partition in times}
        return {
            partition: None if offset < 0 else SimpleNamespace(offset=offset) for partition, offset in offsets.items()
        }

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        polled = {}
        for partition, position in self.positions.items():
            polled[partition] = self.broker.logs.get(partition.topic, [])[position:]
            self.positions[partition] += len(polled[partition])
        return polled

    def commit(self, offsets: dict[TopicPartition, Any]) -> None:
        if self.broker.refuses_commits:
            raise KafkaError("no right to the group")
        self.broker.committed |= {partition.topic: one.offset for partition, one in offsets.items()}

    def close(self) -> None:
        pass


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(followed_topics, "new_consumer", made.consumer)
    return made


def values(topics: FollowedTopics, offsets: dict[str, dict[int, int]]) -> list[str]:
    return [record.value.decode() for records, _ in topics.read(offsets) for record in records]


def test_erasures_come_first_and_the_next_offsets_with_each_portion(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_topics, "PORTION", 2)
    broker.append(EVENTS, "e0", "e1", "e2")
    broker.append(ERASURES, "x0")
    broker.append(EXAMPLES, "s0")
    topics = FollowedTopics(Settings.model_construct())
    portions = [([record.value.decode() for record in records], offsets) for records, offsets in topics.read({})]
    assert portions == [
        (["x0"], {ERASURES: {0: 1}}),
        (["e0", "e1"], {EVENTS: {0: 2}}),
        (["e2"], {EVENTS: {0: 3}}),
        (["s0"], {EXAMPLES: {0: 1}}),
    ]
    assert values(topics, {EVENTS: {0: 2}, ERASURES: {0: 1}, EXAMPLES: {0: 1}}) == ["e2"]
    assert (broker.group, broker.committed[EVENTS]) == ("liveshelf-trainer", 3)


def test_at_first_it_reads_as_far_back_as_events_may_be(broker: Broker) -> None:
    broker.append(EVENTS, "e0", "e1", "e2")
    broker.append(EXAMPLES, "s0", "s1")
    broker.since = {EVENTS: 2, EXAMPLES: -1}
    topics = FollowedTopics(Settings.model_construct())
    assert values(topics, {}) == ["e2"] and topics.lost == {}


def test_what_retention_removed_unread_is_counted(broker: Broker) -> None:
    broker.append(EVENTS, "e0", "e1", "e2")
    broker.begins = {EVENTS: 2}
    topics = FollowedTopics(Settings.model_construct())
    assert values(topics, {EVENTS: {0: 1}}) == ["e2"] and topics.lost == {EVENTS: 1}


def test_a_topic_that_was_created_anew_is_read_from_its_start(broker: Broker) -> None:
    broker.append(EVENTS, "e0")
    assert values(FollowedTopics(Settings.model_construct()), {EVENTS: {0: 9}}) == ["e0"]


def test_the_catalogue_comes_once_and_then_its_changes(broker: Broker) -> None:
    broker.append(CATALOGUE, "a", "b")
    topics = FollowedTopics(Settings.model_construct())
    assert len([*topics.changed_offers()]) == 2
    broker.append(CATALOGUE, "c")
    assert [record.value for record in topics.changed_offers()] == [b"c"]


def test_the_catalogue_comes_whole_after_it_was_created_anew(broker: Broker) -> None:
    """As after a restore: the new topic is not shorter than the old one, so that no offset tells."""
    broker.append(CATALOGUE, "a")
    broker.ids = {CATALOGUE: "first", EVENTS: "events"}
    topics = FollowedTopics(Settings.model_construct())
    assert len([*topics.changed_offers()]) == 1 and [*topics.changed_offers()] == []
    broker.logs[CATALOGUE] = []
    broker.append(CATALOGUE, "b", "c")
    broker.ids = {CATALOGUE: "second", EVENTS: "events"}
    assert [record.value for record in topics.changed_offers()] == [b"b", b"c"]
    assert topics.ids() == broker.ids


def test_offsets_that_cannot_be_committed_stop_nothing(broker: Broker) -> None:
    broker.append(EVENTS, "e0")
    broker.refuses_commits = True
    assert values(FollowedTopics(Settings.model_construct()), {}) == ["e0"]
