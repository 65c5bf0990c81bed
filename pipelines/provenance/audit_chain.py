"""The audit log's records: who did what when, each with the hash of the one before, so that none can be changed,
removed or put in between without breaking the chain.

The hash is SHA-256 of the previous hash and the record's own canonical JSON. What cannot be seen is a chain that was
cut off at its end, or made anew from a place on: keep the newest hash elsewhere (`liveshelf audit verify` prints it).
"""

import hashlib
from collections.abc import Iterable

import msgspec

GENESIS = "0" * 64
_encode = msgspec.json.Encoder(order="deterministic").encode


class AuditRecord(msgspec.Struct, kw_only=True):
    """One act. `at`: epoch ms; `who`: who typed it, and where; `verb`: such as `submit`; `what`: no personal data."""

    at: int
    who: str
    verb: str
    what: dict[str, str]
    previous: str = GENESIS
    hash: str = ""

    def sealed(self, previous: str) -> "AuditRecord":
        """The record as it follows `previous`."""
        linked = msgspec.structs.replace(self, previous=previous, hash="")
        return msgspec.structs.replace(linked, hash=_digest(linked))

    def sound(self) -> bool:
        """Whether the hash is that of the content."""
        return self.hash == _digest(msgspec.structs.replace(self, hash=""))


def _digest(record: AuditRecord) -> str:
    return hashlib.sha256(record.previous.encode() + _encode(record)).hexdigest()


def first_break(records: Iterable[AuditRecord]) -> tuple[int, str] | None:
    """(number from 0, what is wrong) of the first record that does not follow from the one before; None when all do."""
    previous = GENESIS
    for number, record in enumerate(records):
        if record.previous != previous:
            return number, f"it follows {record.previous[:12]}…, and the one before is {previous[:12]}…"
        if not record.sound():
            return number, "its content is not that of its hash"
        previous = record.hash
    return None
