"""The audit log on its topic: appended by the verbs that change something, one writer at a time."""

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


class Unreadable(AuditRecord):
    """What stands on the topic and is no record of the log: it breaks the chain."""


def read_log(settings: KafkaSettings) -> list[AuditRecord]:
    """All records, oldest first; raises `BrokerError`."""
    return [_record(found.value) for found in read_topic(settings, AUDIT)]


def append(settings: KafkaSettings, verb: str, what: dict[str, Any]) -> AuditRecord:
    """Adds an act to the log; returns it as it stands there. Raises `BrokerError`.

    Two who write at once must not both follow the same record. The producer's transactional id is the same for all: who
    begins fences off who began before, so what was read as the newest record is still the newest when it is committed.
    """
    act = AuditRecord(
        at=time.time_ns() // 1_000_000,
        who=f"{getpass.getuser()}@{socket.gethostname()}",
        verb=verb,
        what={name: str(value) for name, value in what.items()},
    )
    last: KafkaError | None = None
    for attempt in range(TRIES):
        try:
            return _append(settings, act)
        except KafkaError as error:  # fenced off by another writer, or the broker went away
            last = error
            if is_final(error):
                break
            time.sleep(0.2 * attempt)
    assert last is not None
    raise broker_error(last, settings.client_options()) from last


def record_act(settings: KafkaSettings, verb: str, **what: Any) -> None:
    """As `append`. Without a broker the act goes on, and a warning says so: at 3 a.m. a job must be stoppable."""
    try:
        append(settings, verb, what)
    except LiveshelfError as error:
        log.warning("not in the audit log: %s", error)


def _append(settings: KafkaSettings, act: AuditRecord) -> AuditRecord:
    producer = new_producer(settings, transactional_id="liveshelf-audit", max_block_ms=10_000)
    try:
        producer.init_transactions()
        log = read_log(settings)
        sealed = act.sealed(log[-1].hash if log else GENESIS)
        producer.begin_transaction()
        producer.send(AUDIT, key=KEY, value=msgspec.json.encode(sealed)).get(10)
        producer.commit_transaction()
        return sealed
    finally:
        producer.close(timeout=5)


def _record(value: bytes | None) -> AuditRecord:
    try:
        return _decode(value or b"")
    except msgspec.MsgspecError:
        return Unreadable(at=0, who="?", verb="?", what={"value": repr(value)[:200]}, previous="?", hash="?")
