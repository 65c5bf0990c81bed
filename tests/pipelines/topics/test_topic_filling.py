"""Settings of topics during a restore, and the usual ones afterwards, also after a failure."""

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.admin import AlterConfigOp

from operators import waiting
from operators.errors import BrokerError
from operators.records.contracts import AUDIT, CATALOGUE, ERASURES, EVENTS, RECOMMENDATIONS
from operators.records.topic_specs import TOPICS
from operators.settings import KafkaSettings
from operators.time_units import DAY_MS
from pipelines.backup.backup import TOPICS as SAVED
from pipelines.topics import topic_filling
from pipelines.topics.topic_filling import filling, restore_retention

DEFAULTS = {
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": "3600000",
    "segment.ms": "604800000",
    "retention.ms": "604800000",
}
USUAL = {spec.name: DEFAULTS | spec.config for spec in TOPICS}
NAMES = tuple(DEFAULTS)


class Broker:
    """Topics and their settings; `ignores_changes`: accepts changes without applying them."""

    def __init__(self) -> None:
        self.topics = {name: dict(config) for name, config in USUAL.items()}
        self.ignores_changes = False

    def __call__(self, settings: KafkaSettings) -> "Broker":
        return self

    def alter_configs(self, resources: list[Any]) -> None:
        for resource in resources:
            for name, (operation, value) in resource.configs.items():
                if not self.ignores_changes:
                    new_value = DEFAULTS[name] if operation is AlterConfigOp.DELETE else value
                    self.topics[resource.name][name] = new_value

    def describe_configs(self, resources: list[Any], config_filter: str) -> Any:
        return {
            "topic": {r.name: {n: {"value": v} for n, v in self.topics[r.name].items()} for r in resources},
        }

    def close(self) -> None:
        pass


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    fake_broker = Broker()
    monkeypatch.setattr(topic_filling, "new_admin", fake_broker)
    return fake_broker


def test_topics_take_the_times_they_are_given_and_are_as_usual_afterwards(broker: Broker) -> None:
    with filling(KafkaSettings(), SAVED, (EVENTS, ERASURES), 8 * DAY_MS):
        for topic in SAVED:
            assert broker.topics[topic]["message.timestamp.type"] == "CreateTime"
            assert int(broker.topics[topic]["message.timestamp.after.max.ms"]) > 10**15
            assert int(broker.topics[topic]["segment.ms"]) > 10**15
        assert int(broker.topics[EVENTS]["retention.ms"]) == (7 + 8 + 1) * DAY_MS
        assert int(broker.topics[ERASURES]["retention.ms"]) == (31 + 8 + 1) * DAY_MS
        for topic in (CATALOGUE, RECOMMENDATIONS, AUDIT):
            assert broker.topics[topic]["retention.ms"] == USUAL[topic]["retention.ms"]
    assert broker.topics[EVENTS]["message.timestamp.type"] == "LogAppendTime"
    assert int(broker.topics[EVENTS]["retention.ms"]) == 16 * DAY_MS, "until the job has read them"
    restore_retention(KafkaSettings(), (EVENTS, ERASURES))
    assert broker.topics == USUAL


def test_after_a_failure_no_client_says_the_time_of_its_events(broker: Broker) -> None:
    with contextlib.suppress(RuntimeError), filling(KafkaSettings(), SAVED, (EVENTS, ERASURES), 0):
        raise RuntimeError("half way")
    assert {topic: config["message.timestamp.type"] for topic, config in broker.topics.items()} == {
        topic: config["message.timestamp.type"] for topic, config in USUAL.items()
    }


def test_a_broker_that_does_not_make_the_change_is_an_error(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.ignores_changes = True
    seconds = iter(range(0, 1000, 10))
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda seconds: None))
    with pytest.raises(BrokerError, match=r"message\.timestamp\.type|after\.max|segment"):
        filling(KafkaSettings(), SAVED, (EVENTS, ERASURES), 0).__enter__()
