"""The audit log on its topic: each verb that changes something appends to it, one writer at a time."""

import getpass
import logging
import socket
import time
from typing import Any

import msgspec

from operators.errors import LiveshelfError
from operators.kafka_io.read_to_end import read_topic
from operators.records.contracts import AUDIT
from operators.settings import KafkaSettings
from pipelines.provenance.audit_chain import GENESIS, AuditRecord
from pipelines.topics.sole_writer import write_alone

log = logging.getLogger(__name__)
KEY = b"audit"  # one key, one partition, one order
WRITER = "liveshelf-audit"  # transactional id
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
    """Appends an act to the log; returns its record. Raises `BrokerError`."""
    act = AuditRecord(
        at=time.time_ns() // 1_000_000,
        who=who_acts(),
        verb=verb,
        what={name: str(value) for name, value in what.items()},
    )

    def sealed() -> tuple[AuditRecord, bytes]:
        records = read_log(settings)
        record = act.sealed(records[-1].hash if records else GENESIS)
        return record, msgspec.json.encode(record)

    return write_alone(settings, WRITER, AUDIT, KEY, sealed)


def record_act(settings: KafkaSettings, verb: str, **what: Any) -> None:
    """As `append`, but logs a warning instead of an error: a job must be stoppable without a broker."""
    try:
        append(settings, verb, what)
    except LiveshelfError as error:
        log.warning("not in the audit log: %s", error)


def _decode_record(value: bytes | None) -> AuditRecord:
    try:
        return _decode(value or b"")
    except msgspec.MsgspecError:
        return UnreadableRecord(at=0, who="?", verb="?", what={"value": repr(value)[:200]}, previous="?", hash="?")
