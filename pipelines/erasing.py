"""A request to forget a user, and the job's receipt for it."""

import time

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from operators.contracts import ERASURES, RECEIPTS, Erasure, Receipt, encode_record
from operators.decode import decode_erasure
from operators.errors import BrokerError
from operators.settings import KafkaSettings

_decode = msgspec.json.Decoder(Receipt).decode


def ask_to_erase(settings: KafkaSettings, user: str, wait_s: float) -> tuple[str, Receipt | None]:
    """Publishes an erasure and waits for its receipt; (erasure_id, receipt), None where none came in `wait_s`.

    Raises `BadRecord` for a user_id that no event can have, `BrokerError` where the topics are not there.
    """
    request = Erasure(user_id=user, requested_at=int(time.time() * 1000), erasure_id=f"cli-{time.time_ns()}")
    value = encode_record(request)
    decode_erasure(user, value)
    receipts = _at_end(settings)
    try:
        producer = KafkaProducer(**settings.producer_options())
        producer.send(ERASURES, key=user.encode(), value=value).get(30)
        producer.close()
        return request.erasure_id, _wait_for(receipts, request.erasure_id, wait_s)
    finally:
        receipts.close()


def _at_end(settings: KafkaSettings) -> KafkaConsumer:
    """A consumer of all receipts from now on."""
    consumer = KafkaConsumer(**settings.consumer_options())
    numbers = consumer.partitions_for_topic(RECEIPTS)
    if not numbers:
        consumer.close()
        raise BrokerError(f"the topic {RECEIPTS} at {settings.bootstrap}", "no such topic", "liveshelf topics create")
    partitions = [TopicPartition(RECEIPTS, number) for number in sorted(numbers)]
    consumer.assign(partitions)
    consumer.seek_to_end(*partitions)
    for partition in partitions:
        consumer.position(partition)
    return consumer


def _wait_for(receipts: KafkaConsumer, erasure_id: str, wait_s: float) -> Receipt | None:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        for records in receipts.poll(timeout_ms=200).values():
            for record in records:
                if record.key == erasure_id.encode():
                    return _decode(record.value)
    return None
