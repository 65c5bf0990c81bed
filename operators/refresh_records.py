"""What goes into the operator's decisions and what comes out: records, lists in bytes, dead letters, receipts."""

from dataclasses import dataclass, field
from typing import NamedTuple

from operators.contracts import ORDER_HEADER, DeadLetterHeaders, Receipt, RecommendationList, encode_record
from operators.decode import key_bytes
from operators.errors import BadRecord
from operators.experiments import NO_ARM
from operators.list_maker import Request, encode_list
from operators.timeline import Made
from operators.user_state import digest, holds_anything, order_of

DIGEST_HEADER = "liveshelf.state-digest"
_OWN_FIX = "keep the record and send us the traceback in the operator's log; after the upgrade publish it again"


class Record(NamedTuple):
    """An input record as the sources give it: `user` is the key as `decode.key_text` reads it or, where the record is
    not `keyed`, the user_id of its body."""

    user: str
    value: bytes | None
    topic: str
    partition: int
    offset: int
    broker_ms: int
    keyed: bool


class Output(NamedTuple):
    """A record for a sink: `kind` is "list", "dead" or "receipt"; a list without `value` is a tombstone."""

    kind: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes] | None = None


class Encoded(NamedTuple):
    """A list as it goes out; `made` of a list by the scorer thread, `state_digest` where audits are on."""

    value: bytes
    source: str
    arm: str
    event_time: int
    made: Made | None = None
    state_digest: str | None = None


@dataclass(slots=True)
class Actions:
    """What the engine must do: keep `state` (None: leave it), set a promise in `promise_ms` (None: none), emit."""

    state: bytes | None = None
    promise_ms: int | None = None
    outputs: list[Output] = field(default_factory=list)


def encoded(
    recommended: RecommendationList, request: Request, made: Made | None = None, *, with_digest: bool
) -> Encoded:
    """The list in bytes with what metrics and audits need."""
    arm = recommended.experiment.arm if recommended.experiment else NO_ARM
    fingerprint = digest(request.state) if with_digest else None
    return Encoded(encode_list(recommended), recommended.source, arm, recommended.event_time, made, fingerprint)


def list_of(made: Encoded, user: str) -> Output:
    """A list for its sink."""
    headers = {DIGEST_HEADER: made.state_digest.encode()} if made.state_digest else None
    return Output("list", user.encode(), made.value, headers)


def tombstone(user: str, state: bytes) -> Output:
    """Over the list of a user who was erased; `state`: after it. Lists of an older epoch do not count any more."""
    epoch, _ = order_of(state)
    return Output("list", user.encode(), None, {ORDER_HEADER: f"{epoch}.0".encode()})


def receipt(record: Record, erasure_id: str, state: bytes | None, now_ms: int) -> Output:
    """Of an erasure; `state`: before it."""
    name = erasure_id or f"{record.topic}-{record.partition}-{record.offset}"
    found = state is not None and holds_anything(state)
    made = Receipt(erasure_id=name, arrived_at=record.broker_ms, done_at=now_ms, found=found)
    return Output("receipt", name.encode(), encode_record(made))


def dead_letter(record: Record, bad: BadRecord) -> Output:
    """The record as it came, the reason in the headers."""
    headers = DeadLetterHeaders(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        stage="VALUE_CONVERTER",
        reason=bad.reason,
        message=str(bad),
    )
    key = key_bytes(record.user) if record.keyed else None
    return Output("dead", key, record.value, headers.pairs())


def own_error(error: Exception) -> BadRecord:
    """Why a record that broke our own code is a dead letter: no fault of its sender."""
    return BadRecord("internal_error", "no error in Liveshelf", repr(error)[:200], _OWN_FIX)
