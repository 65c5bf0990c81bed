"""The audit log on its topic: each verb that changes something appends to it, one writer at a time."""

import getpass
import logging
import socket
import time
from typing import Any

import msgspec
from kafka.errors import KafkaError

from operators.errors import LiveshelfError
from operators.kafka_io.broker_errors import broker_error, is_final
from operators.kafka_io.kafka_clients import new_producer
from operators.kafka_io.read_to_end import read_topic
from operators.records.contracts import AUDIT
from operators.settings import KafkaSettings
from pipelines.provenance.audit_chain import GENESIS, AuditRecord

log = logging.getLogger(__name__)
KEY = b"audit"  # one key, one partition, one order
TRIES = 5
_decode = msgspec.json.Decoder(AuditRecord).decode


class UnreadableRecord(AuditRecord):
    """Stands for bytes on the topic that are no record of the log: it breaks the chain."""


def read_log(settings: KafkaSettings) -> list[AuditRecord]:
    """All records, oldest first; raises `BrokerError`."""
    return [_decode_record(record.value) for record in read_topic(settings, AUDIT)]


def who_acts() -> str:
    """Who runs this process: user@machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def append(settings: KafkaSettings, verb: str, what: dict[str, Any]) -> AuditRecord:
    """Appends an act to the log; returns its record. Raises `BrokerError`.

    Two writers must not both follow the same record. All writers share one transactional id: a new one fences off the
    one before, so the newest record that a writer has read is still the newest when it commits.
    """
    act = AuditRecord(
        at=time.time_ns() // 1_000_000,
        who=who_acts(),
        verb=verb,
        what={name: str(value) for name, value in what.items()},
    )
    last_error: KafkaError | None = None
    for attempt in range(TRIES):
        try:
            return _append(settings, act)
        except KafkaError as error:  # another writer fenced this one off, or the broker is away
            last_error = error
            if is_final(error):
                break
            time.sleep(0.2 * attempt)
    assert last_error is not None
    raise broker_error(last_error, settings.client_options()) from last_error


def record_act(settings: KafkaSettings, verb: str, **what: Any) -> None:
    """As `append`, but logs a warning instead of an error: a job must be stoppable without a broker."""
    try:
        append(settings, verb, what)
    except LiveshelfError as error:
        log.warning("not in the audit log: %s", error)


def _append(settings: KafkaSettings, act: AuditRecord) -> AuditRecord:
    producer = new_producer(settings, transactional_id="liveshelf-audit", max_block_ms=10_000)
    try:
        producer.init_transactions()
        records = read_log(settings)
        sealed = act.sealed(records[-1].hash if records else GENESIS)
        producer.begin_transaction()
        producer.send(AUDIT, key=KEY, value=msgspec.json.encode(sealed)).get(10)
        producer.commit_transaction()
        return sealed
    finally:
        producer.close(timeout=5)


def _decode_record(value: bytes | None) -> AuditRecord:
    try:
        return _decode(value or b"")
    except msgspec.MsgspecError:
        return UnreadableRecord(at=0, who="?", verb="?", what={"value": repr(value)[:200]}, previous="?", hash="?")
