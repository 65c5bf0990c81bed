"""Records of the audit log: who did what when. Each holds the hash of the record before, so a changed, removed or
inserted record breaks the chain.

The hash is SHA-256 of the previous hash and the record's canonical JSON. The chain does not show that records were cut
off at its end, or that all records from one on were made anew: keep the newest hash elsewhere (`liveshelf audit verify`
prints it).
"""

import hashlib
from collections.abc import Iterable

import msgspec

GENESIS = "0" * 64
_encode = msgspec.json.Encoder(order="deterministic").encode


class AuditRecord(msgspec.Struct, kw_only=True):
    """One act. `at`: epoch ms; `who`: user@host; `verb`: such as `submit`; `what`: its details, no personal data."""

    at: int
    who: str
    verb: str
    what: dict[str, str]
    previous: str = GENESIS
    hash: str = ""

    def sealed(self, previous: str) -> "AuditRecord":
        """A copy with the hash of the record before, and its own hash."""
        linked = msgspec.structs.replace(self, previous=previous, hash="")
        return msgspec.structs.replace(linked, hash=_digest(linked))

    def is_sound(self) -> bool:
        """Whether the hash matches the content."""
        return self.hash == _digest(msgspec.structs.replace(self, hash=""))


def _digest(record: AuditRecord) -> str:
    return hashlib.sha256(record.previous.encode() + _encode(record)).hexdigest()


def first_break(records: Iterable[AuditRecord]) -> tuple[int, str] | None:
    """(number from 0, reason) of the first record that breaks the chain; None if none does."""
    previous = GENESIS
    for number, record in enumerate(records):
        if record.previous != previous:
            return number, f"it follows {record.previous[:12]}…, and the one before is {previous[:12]}…"
        if not record.is_sound():
            return number, "its content is not that of its hash"
        previous = record.hash
    return None
