"""The input and output of the operator's decisions."""

from dataclasses import dataclass, field
from typing import NamedTuple

from operators.errors import BadRecord

DIGEST_HEADER = "liveshelf.state-digest"


class InputRecord(NamedTuple):
    """An input record as the sources give it: `user` is the key as `decode.key_text` reads it or, where the record is
    not `keyed`, the user_id of its body."""

    user: str
    value: bytes | None
    topic: str
    partition: int
    offset: int
    broker_ms: int
    keyed: bool

    def refuse_unless_of(self, user: str) -> None:
        """Raises `BadRecord` if the record was routed to another user than it names. The router of records without key
        parses less than the decoders do (no byte-order mark before the body)."""
        if user != self.user:
            raise BadRecord("key_mismatch", "a record routed by its user_id", f"routed by {self.user!r}"[:200])


class Output(NamedTuple):
    """A record for a sink: `kind` is "list", "dead" or "receipt"; a list without `value` is a tombstone."""

    kind: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes] | None = None


@dataclass(slots=True)
class Actions:
    """What the engine must do: keep `state` (None: leave it), set a promise in `promise_ms` (None: none), emit."""

    state: bytes | None = None
    promise_ms: int | None = None
    outputs: list[Output] = field(default_factory=list)
