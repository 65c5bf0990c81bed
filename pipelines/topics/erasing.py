"""A request to forget a user, and the job's receipt for it."""

import time

import msgspec
from kafka import KafkaConsumer

from operators.kafka_io.kafka_clients import broker_errors, new_consumer, new_producer, partitions_of
from operators.records.contracts import ERASURES, RECEIPTS, Erasure, Receipt, encode_record
from operators.records.decode import decode_erasure
from operators.settings import KafkaSettings

_decode = msgspec.json.Decoder(Receipt).decode


def ask_to_erase(settings: KafkaSettings, user: str, wait_s: float) -> tuple[str, Receipt | None]:
    """Publishes an erasure and waits for its receipt; (erasure_id, receipt), None where none came in `wait_s`.

    Raises `BadRecord` for a user_id that no event can have, `BrokerError` where the topics are not there.
    """
    request = Erasure(user_id=user, requested_at=int(time.time() * 1000), erasure_id=f"cli-{time.time_ns()}")
    value = encode_record(request)
    decode_erasure(user, value)
    receipts = new_consumer(settings)
    try:
        with broker_errors(settings):
            _seek_to_end(receipts, settings)
            producer = new_producer(settings)
            try:
                producer.send(ERASURES, key=user.encode(), value=value).get(30)
            finally:
                producer.close()
            return request.erasure_id, _wait_for(receipts, request.erasure_id, wait_s)
    finally:
        receipts.close()


def _seek_to_end(receipts: KafkaConsumer, settings: KafkaSettings) -> None:
    """All receipts from now on."""
    partitions = partitions_of(receipts, RECEIPTS, settings)
    receipts.assign(partitions)
    receipts.seek_to_end(*partitions)
    for partition in partitions:
        receipts.position(partition)


def _wait_for(receipts: KafkaConsumer, erasure_id: str, wait_s: float) -> Receipt | None:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        for records in receipts.poll(timeout_ms=200).values():
            for record in records:
                if record.key == erasure_id.encode():
                    return _decode(record.value)
    return None
