"""What the settings of existing topics must be before a job starts."""

import logging
from typing import Any

import pytest

from operators.errors import BrokerError
from operators.records.contracts import ERASURES, EVENTS, RECEIPTS, RECOMMENDATIONS
from operators.records.topic_specs import JOB_INPUTS, TOPICS, job_outputs
from pipelines.submission.starting_offsets import _check_settings

NEEDED = (*JOB_INPUTS, *job_outputs(feedback=True, demand=True))


class Broker:
    """Topics as `liveshelf topics create` makes them, but for what a test changes; None: the broker does not say."""

    def __init__(self, **changed: str | None) -> None:
        self.topics = {spec.name: dict[str, str | None](spec.config) for spec in TOPICS}
        for name, value in changed.items():
            topic, setting = name.split("__")
            self.topics[f"shop.{topic}.v1"][setting.replace("_", ".")] = value

    def describe_configs(self, resources: list[Any], config_filter: str) -> Any:
        assert config_filter == "all", "what a topic has by default would not be told"
        return {"topic": {r.name: {n: {"value": v} for n, v in self.topics[r.name].items()} for r in resources}}


def test_topics_as_they_are_made_are_taken_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    _check_settings(Broker(), NEEDED)  # type: ignore[arg-type]
    assert caplog.text == ""


@pytest.mark.parametrize("topic", JOB_INPUTS)
def test_a_time_of_the_client_is_refused(topic: str) -> None:
    broker = Broker(**{f"{topic.split('.')[1]}__message_timestamp_type": "CreateTime"})
    with pytest.raises(BrokerError, match=f"message.timestamp.type = LogAppendTime for {topic}.*--alter"):
        _check_settings(broker, NEEDED)  # type: ignore[arg-type]


@pytest.mark.parametrize("topic", [EVENTS, RECEIPTS])
@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_a_topic_that_would_keep_one_event_of_a_user_alone_is_refused(topic: str, policy: str) -> None:
    with pytest.raises(BrokerError, match=f"cleanup.policy = delete for {topic}"):
        _check_settings(Broker(**{f"{topic.split('.')[1]}__cleanup_policy": policy}), NEEDED)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("topic", "setting", "value"),
    [
        (EVENTS, "retention_ms", "3600000"),
        (ERASURES, "retention_ms", "604800000"),
        (RECOMMENDATIONS, "cleanup_policy", "delete"),
    ],
)
def test_what_keeps_less_than_it_should_is_said(
    topic: str, setting: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _check_settings(Broker(**{f"{topic.split('.')[1]}__{setting}": value}), NEEDED)  # type: ignore[arg-type]
    assert f"{topic} has {setting.replace('_', '.')} = {value}" in caplog.text and "--alter" in caplog.text


def test_longer_is_no_matter_and_a_broker_that_tells_nothing_is_believed(caplog: pytest.LogCaptureFixture) -> None:
    _check_settings(Broker(events__retention_ms="-1", erasures__retention_ms="9999999999999"), NEEDED)  # type: ignore[arg-type]
    assert caplog.text == ""
    silent = Broker()
    silent.topics = {topic: {} for topic in NEEDED}
    _check_settings(silent, NEEDED)  # type: ignore[arg-type]
    assert caplog.text.count("it must be LogAppendTime") == len(JOB_INPUTS)
