"""The input and output of the operator's decisions."""

from collections.abc import Sequence
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
    """A record for a sink: `kind` is "list", "dead" or "receipt"; a list without `value` is a tombstone. Of the kind
    "feedback": an entry for the feedback join (`operators/feedback/join_entries.py`)."""

    kind: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes] | None = None


class Turn(NamedTuple):
    """What the logic must react to: a record of a user or, where `record` is None, a promise that fired `late_ms` late.

    `state` counts only in the user's first turn of a batch. Where `late_ms` is None too, no promise has fired: the logic
    wanted this turn.
    """

    user: str
    state: bytes | None
    record: InputRecord | None
    late_ms: int | None = 0


@dataclass(slots=True)
class Actions:
    """What one turn causes: keep `state` (None: leave it), set a promise in `promise_ms` (None: none), emit."""

    outputs: list[Output]
    state: bytes | None = None
    promise_ms: int | None = None


@dataclass(slots=True)
class BatchActions:
    """What the engine must do after a batch: keep `states`, take back the promises of the users in `kept`, set `promises`
    (user -> ms from now; each replaces the one that this process set before), emit `outputs`, and bring a turn of each
    of the `wanted` users at once."""

    states: dict[str, bytes] = field(default_factory=dict)
    promises: dict[str, int] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    wanted: Sequence[str] = ()
    kept: dict[str, None] = field(default_factory=dict)
    current: dict[str, bytes | None] = field(default_factory=dict)  # each user's state after the turns so far

    def add(self, user: str, actions: Actions) -> None:
        """What a turn of `user` caused; its outputs are in `outputs` already. Of two promises the earlier one counts: it
        sets the later one where that is needed."""
        if actions.state is not None:
            self.current[user] = self.states[user] = actions.state
        if actions.promise_ms is not None:
            self.kept.pop(user, None)
            self.promises[user] = min(actions.promise_ms, self.promises.get(user, actions.promise_ms))

    def keep(self, user: str) -> None:
        """The user's list is out: nothing is promised any more."""
        self.promises.pop(user, None)
        self.kept[user] = None
