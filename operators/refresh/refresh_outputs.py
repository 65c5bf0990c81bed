"""Records for the sinks: lists, tombstones, receipts, dead letters."""

from operators.errors import BadRecord
from operators.lists.encoded_list import Encoded
from operators.records.contracts import ORDER_HEADER, DeadLetterHeaders, Receipt, encode_record
from operators.records.dead_letter import fitting
from operators.records.event_decode import key_bytes
from operators.refresh.refresh_records import DIGEST_HEADER, InputRecord, Output
from operators.shopper.user_state import holds_anything, order_of

_OWN_FIX = "keep the record and send us the traceback in the operator's log; after the upgrade publish it again"


def list_of(encoded_list: Encoded, user: str) -> Output:
    """A list for its sink."""
    digest = encoded_list.state_digest
    return Output("list", user.encode(), encoded_list.value, {DIGEST_HEADER: digest.encode()} if digest else None)


def tombstone(user: str, state: bytes) -> Output:
    """Over the list of a user who was erased; `state`: after it. Lists of an older epoch do not count any more."""
    epoch, _ = order_of(state)
    return Output("list", user.encode(), None, {ORDER_HEADER: f"{epoch}.0".encode()})


def receipt(record: InputRecord, erasure_id: str, state: bytes | None, now_ms: int) -> Output:
    """Of an erasure; `state`: before it."""
    name = erasure_id or f"{record.topic}-{record.partition}-{record.offset}"
    known = state is not None and holds_anything(state)
    done = Receipt(erasure_id=name, arrived_at=record.broker_ms, done_at=now_ms, found=known)
    return Output("receipt", name.encode(), encode_record(done))


def dead_letter(record: InputRecord, bad: BadRecord) -> Output:
    """The record as it came, the reason in the headers. One that no letter can hold is cut off."""
    key, value, cut = fitting(key_bytes(record.user) if record.keyed else None, record.value)
    headers = DeadLetterHeaders(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        stage="VALUE_CONVERTER",
        reason=bad.reason,
        message=f"{bad}{cut}",
    )
    return Output("dead", key, value, headers.pairs())


def own_error(error: Exception) -> BadRecord:
    """Why a record that broke our own code is a dead letter: no fault of its sender."""
    return BadRecord("internal_error", "no error in Liveshelf", repr(error)[:200], _OWN_FIX)
