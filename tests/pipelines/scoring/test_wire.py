"""The messages, as job and scorer service of two releases exchange them."""

import msgspec
import pytest

from operators.errors import StackError
from operators.exploration.pool import Newcomer, Pool
from operators.lists.encoded_list import Encoded, ListFacts
from operators.lists.request import Request
from operators.shopper.state_layout import LAYOUT
from pipelines.scoring import wire
from pipelines.scoring.wire import PROTOCOL, Batch, BatchAnswer, Handshake, Ready, handshake_of, pack, ready_lacking

FIELDS = {
    Handshake: ("settings", "bundle", "subtask", "journal"),
    Ready: ("provider", "provider_reason", "refused", "lacks"),
    Batch: ("requests", "catalogue", "orders", "experiments", "pool"),
    Pool: ("untouched", "rows", "chances", "newcomers"),
    Newcomer: ("item_id", "chance", "likes", "category", "brand"),
    BatchAnswer: ("started_at", "scored_at", "lists"),
    Request: ("user_id", "state", "event_time", "event_id", "traceparent", "arrival"),
    Encoded: ("value", "source", "experiments", "state_digest", "times", "facts", "model"),
    ListFacts: ("recommendation_id", "generated_at", "item_hashes", "propensities", "clicks"),
}


def test_whoever_changes_a_message_raises_the_protocol() -> None:
    assert (PROTOCOL, LAYOUT) == (6, 5), "with another layout of the state too"
    assert {message: message.__struct_fields__ for message in FIELDS} == FIELDS


def test_a_handshake_comes_back_and_begins_with_its_protocol() -> None:
    begin = Handshake({"scorer": {"threads": 1}}, "/bundle", "shared", "/tables/a.crashes")
    assert handshake_of(pack(begin)) == begin
    assert msgspec.msgpack.decode(pack(begin))[0] == PROTOCOL


@pytest.mark.parametrize(("protocol", "late"), [(PROTOCOL - 1, "job"), (PROTOCOL + 1, "service")])
def test_another_protocol_is_no_decode_failure(protocol: int, late: str) -> None:
    with pytest.raises(StackError, match=f"protocol {protocol} and .*start the {late} from"):
        handshake_of(pack([protocol, {"fields": "of another release"}]))


def test_the_answer_of_a_newer_service_is_read() -> None:
    ready = ready_lacking(StackError("a", "b", "c"))
    assert ready.failed and not Ready("CPUExecutionProvider").failed
    assert wire.ready_of(pack([*msgspec.to_builtins(ready), "a new field"])) == ready
