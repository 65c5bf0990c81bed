"""The operator and a user who is to be forgotten, and lists that were lost with their transaction."""

import json
from collections.abc import Callable

import pytest

from operators.records.contracts import ERASURES, ORDER_HEADER
from operators.refresh.refresh_records import InputRecord, Output, Turn
from operators.shopper.state_layout import stored
from operators.shopper.user_state import holds_anything
from tests.builders import NOW_MS
from tests.operators.refresh.test_refresh_logic import Operator, job, lists

__all__ = ["job"]


def erasure(**fields: object) -> bytes:
    return json.dumps({"user_id": "u1", **fields}).encode()


def receipts(outputs: list[Output]) -> list[dict[str, object]]:
    return [json.loads(output.value) for output in outputs if output.kind == "receipt" and output.value]


def test_an_erasure_writes_receipt_and_tombstone_and_forgets_what_was_under_way(job: Operator) -> None:
    job.event()
    job.broker_ms = NOW_MS + 1000
    receipt, tombstone = job.read("u1", erasure(erasure_id="r1"), ERASURES)
    assert (receipt.kind, receipt.key) == ("receipt", b"r1")
    (said,) = receipts([receipt])
    assert said == {"erasure_id": "r1", "arrived_at": NOW_MS + 1000, "done_at": NOW_MS, "found": True}
    assert (tombstone.kind, tombstone.key, tombstone.value) == ("list", b"u1", None)
    assert tombstone.headers == {ORDER_HEADER: f"{NOW_MS // 1000 + 1}.0".encode()}
    assert job.batcher.run_once() == 0
    assert job.event(number=1) == []
    assert job.sensors.records[-1] == "erased"


@pytest.mark.parametrize("requested_at", [0, -1, NOW_MS // 1000, 4_000_000_000_000, None])
def test_an_erasure_is_judged_by_the_brokers_clock_alone(job: Operator, requested_at: int | None) -> None:
    job.event(number=1, event_time=NOW_MS + 240_000)  # stamped four minutes ahead
    job.broker_ms = NOW_MS + 1000
    (said,) = receipts(job.read("u1", erasure(erasure_id="r", requested_at=requested_at), ERASURES))
    assert said["found"] is True and not holds_anything(job.state["u1"])
    job.broker_ms = NOW_MS + 2000
    job.event(number=2, event_time=NOW_MS + 1500)
    assert job.sensors.records[-1] == "applied"


def test_the_receipt_of_a_user_whom_the_job_does_not_know_says_so(job: Operator) -> None:
    outputs = job.read("stranger", json.dumps({"user_id": "stranger"}).encode(), ERASURES)
    (said,) = receipts(outputs)
    assert (said["erasure_id"], said["found"]) == ("shop.erasures.v1-1-42", False)
    assert [output.kind for output in outputs] == ["receipt", "list"], "a list that nobody knows of goes too"


def test_an_erasure_that_came_to_another_users_state_is_no_success(job: Operator) -> None:
    """What routes a record without key does not read past a byte-order mark: it comes to the state of nobody."""
    job.event()
    record = InputRecord("", b"\xef\xbb\xbf" + erasure(erasure_id="r1"), ERASURES, 1, 42, NOW_MS + 1000, False)
    actions = job.logic.on_batch([Turn("", None, record)])
    (letter,) = actions.outputs
    assert (letter.kind, actions.states) == ("dead", {})
    assert (letter.headers or {})["__connect.errors.exception.class.name"] == b"key_mismatch"


@pytest.mark.parametrize("kept", [bytes, stored], ids=["as the operator holds it", "as the engine keeps it"])
def test_an_erasure_that_is_read_again_takes_no_list_away(job: Operator, kept: Callable[[bytes], bytes]) -> None:
    job.event()
    job.read("u1", erasure(erasure_id="r1"), ERASURES)
    job.broker_ms = NOW_MS + 5000
    job.event(number=1, event_time=NOW_MS + 4000)
    job.broker_ms = NOW_MS
    job.state["u1"] = kept(job.state["u1"])
    assert [output.kind for output in job.read("u1", erasure(erasure_id="r1"), ERASURES)] == ["receipt"]
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 2, "model")]
