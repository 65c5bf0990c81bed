"""The settings of the job's Kafka clients."""

import pytest

from operators.records.contracts import DEAD_LETTERS, EXAMPLES, RECEIPTS, RECOMMENDATIONS
from operators.settings import JobSettings, KafkaSettings
from pipelines.job.connectors import EXAMPLES_SINK, SINKS, SOURCE_TOPICS, consumer_properties, producer_properties


def test_sources_read_committed_records_with_the_shops_settings() -> None:
    kafka = KafkaSettings(bootstrap="b:1", security={"protocol": "SSL"}, client={"fetch.min.bytes": "7"})
    properties = consumer_properties(kafka, JobSettings(name="shop"))
    assert (properties["bootstrap.servers"], properties["security.protocol"]) == ("b:1", "SSL")
    assert (properties["group.id"], properties["fetch.min.bytes"]) == ("shop", "7")
    assert properties["isolation.level"] == "read_committed", "else a replay that was broken off counts twice"
    assert properties["partition.discovery.interval.ms"] == "10000"


def test_the_shop_cannot_change_what_the_job_relies_on() -> None:
    kafka = KafkaSettings(client={"isolation.level": "read_uncommitted", "group.id": "x", "acks": "0"})
    assert consumer_properties(kafka, JobSettings(name="shop"))["isolation.level"] == "read_committed"
    assert consumer_properties(kafka, JobSettings(name="shop"))["group.id"] == "shop"
    assert all(producer_properties(sink, kafka, JobSettings())["acks"] == "all" for sink in SINKS)


def test_the_shop_can_change_how_a_producer_batches() -> None:
    kafka = KafkaSettings(client={"java": {"linger.ms": "7"}})
    assert {producer_properties(sink, kafka, JobSettings())["linger.ms"] for sink in SINKS} == {"7"}


@pytest.mark.parametrize(("delivery", "timeout_ms"), [("at-least-once", None), ("exactly-once", "900001")])
def test_exactly_once_sets_the_transactions_time_out(delivery: str, timeout_ms: str | None) -> None:
    job = JobSettings(delivery=delivery, transaction_timeout_ms=900_001)
    for sink in SINKS:
        assert producer_properties(sink, KafkaSettings(), job).get("transaction.timeout.ms") == timeout_ms


def test_examples_are_exactly_once_whatever_the_delivery() -> None:
    for delivery in ("at-least-once", "exactly-once"):
        job = JobSettings(delivery=delivery, transaction_timeout_ms=900_001)
        assert producer_properties(EXAMPLES_SINK, KafkaSettings(), job)["transaction.timeout.ms"] == "900001"
    assert dict(EXAMPLES_SINK.topics) == {"example": EXAMPLES}


def test_each_kind_of_output_has_one_topic_and_each_operator_one_former_id() -> None:
    topics = {kind: topic for sink in SINKS for kind, topic in sink.topics.items()}
    assert topics == {"list": RECOMMENDATIONS, "dead": DEAD_LETTERS, "receipt": RECEIPTS}
    ids = [source.former_id for source in SOURCE_TOPICS]
    ids += [one for sink in SINKS for one in (sink.former_writer_id, sink.former_committer_id)]
    assert len({*ids}) == 6 and all(len(bytes.fromhex(one)) == 16 for one in ids)
