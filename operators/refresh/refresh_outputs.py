"""Records for the sinks: lists, tombstones, receipts, dead letters."""

from operators.errors import BadRecord
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.contracts import ORDER_HEADER, DeadLetterHeaders, Receipt, encode_record
from operators.records.dead_letter import fitting
from operators.records.event_decode import key_bytes
from operators.refresh.refresh_records import DIGEST_HEADER, InputRecord, Output
from operators.shopper.user_state import holds_anything, order_of

_OWN_FIX = "keep the record and send us the traceback in the operator's log; after the upgrade publish it again"


def list_of(encoded_list: Encoded, request: Request) -> Output:
    """A list for its sink; `request`: the one that it answers."""
    epoch, version = order_of(request.state)
    headers = {ORDER_HEADER: b"%d.%d" % (epoch, version)}
    if encoded_list.state_digest:
        headers[DIGEST_HEADER] = encoded_list.state_digest.encode()
    return Output("list", request.user_id.encode(), encoded_list.value, headers)


def tombstone(user: str, state: bytes) -> Output:
    """Removes the list of an erased user; `state`: after the erasure. Lists of an older epoch are not current any more."""
    epoch, _ = order_of(state)
    return Output("list", user.encode(), None, {ORDER_HEADER: f"{epoch}.0".encode()})


def receipt(record: InputRecord, erasure_id: str, state: bytes | None, now_ms: int) -> Output:
    """The receipt of an erasure; `state`: before it."""
    name = erasure_id or f"{record.topic}-{record.partition}-{record.offset}"
    held = state is not None and holds_anything(state)
    erasure_receipt = Receipt(erasure_id=name, arrived_at=record.broker_ms, done_at=now_ms, found=held)
    return Output("receipt", name.encode(), encode_record(erasure_receipt))


def dead_letter(record: InputRecord, bad: BadRecord) -> Output:
    """The unchanged record with the reason in the headers. A record too large for a letter is cut."""
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
    """The reason of a dead letter whose record made our own code fail. Its sender is not at fault."""
    return BadRecord("internal_error", "no error in Liveshelf", repr(error)[:200], _OWN_FIX)
