"""A request to erase a user, and the job's receipt for it."""

import time
from contextlib import closing

import msgspec
from kafka import KafkaConsumer

from operators.kafka_io.kafka_clients import broker_errors, consumer_at_end, new_producer
from operators.records.contracts import ERASURES, RECEIPTS, Erasure, Receipt, encode_record
from operators.records.event_decode import decode_erasure
from operators.settings import KafkaSettings

_decode = msgspec.json.Decoder(Receipt).decode


def ask_to_erase(settings: KafkaSettings, user: str, wait_s: float) -> tuple[str, Receipt | None]:
    """Publishes an erasure and waits for its receipt. Returns (erasure_id, receipt); None without a receipt in `wait_s`.

    Raises `BadRecord` for a user_id that no event can have, `BrokerError` without the topics.
    """
    request = Erasure(user_id=user, requested_at=int(time.time() * 1000), erasure_id=f"cli-{time.time_ns()}")
    value = encode_record(request)
    decode_erasure(user, value)
    with closing(consumer_at_end(settings, RECEIPTS)) as receipts, broker_errors(settings):
        with closing(new_producer(settings)) as producer:
            producer.send(ERASURES, key=user.encode(), value=value).get(30)
        return request.erasure_id, _wait_for_receipt(receipts, request.erasure_id, wait_s)


def _wait_for_receipt(receipts: KafkaConsumer, erasure_id: str, wait_s: float) -> Receipt | None:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        for records in receipts.poll(timeout_ms=200).values():
            for record in records:
                if record.key == erasure_id.encode():
                    return _decode(record.value)
    return None
