"""Batches of records and promises: one request a user, and lists that leave as soon as they are ready."""

import json

import pytest

from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.contracts import ERASURES, EVENTS, ORDER_HEADER
from operators.refresh.batch_scorer import NoScorer
from operators.refresh.refresh_records import DIGEST_HEADER, InputRecord, Turn
from operators.shopper.user_state import digest
from tests.bad_records import good_event
from tests.builders import NOW_MS
from tests.operators.refresh.test_refresh_logic import Operator, job, lists

__all__ = ["job"]  # a fixture


def test_a_batch_of_one_user_asks_once_with_the_newest_state(job: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    coalesced: list[int] = []
    monkeypatch.setattr(job.batcher.sensors, "on_coalesced", lambda: coalesced.append(1))
    records = [record("u1", number=number) for number in range(3)]
    seen = record("u1", number=3, event_type="impression", items=["i1", "i2"], item_id=None)
    job.turns(*(Turn("u1", None, one) for one in [*records, seen]))
    assert len(coalesced) == 2
    assert job.batcher.waiting == 1
    (request,) = job.batcher._waiting.values()
    assert request.state == job.state["u1"], "what the shopper was shown after the event counts for its list"
    job.batcher.run_once()
    assert lists(job.turns()) == [("u1", 3, "model")], "a batch without turns takes what is ready"


def test_an_erasure_withdraws_what_its_batch_asked_for(job: Operator) -> None:
    erasure = InputRecord("u1", b'{"user_id":"u1"}', ERASURES, 1, 43, NOW_MS + 60_000, True)
    outputs = job.turns(Turn("u1", None, record("u1")), Turn("u1", None, erasure))
    assert [(output.kind, output.value is None) for output in outputs] == [("receipt", False), ("list", True)]
    assert job.batcher.waiting == 0 and "u1" in job.promises
    assert job.fire() == [] and job.promises == {}


def test_the_scorer_thread_tells_once_that_lists_are_ready(job: Operator) -> None:
    woken: list[int] = []
    job.batcher._on_answers = lambda: woken.append(1)
    job.event("u0")
    job.batcher.run_once()
    job.turns()
    woken.clear()
    for user in ("u1", "u2"):
        assert not job.batcher.submit({user: Request(user, job.state["u0"], NOW_MS)})
        job.batcher.run_once()
    assert woken == [1], "until they are taken"
    assert len(lists(job.turns())) == 2
    job.event("u3")
    job.batcher.run_once()
    assert woken == [1, 1]


def test_a_request_that_reaches_no_scorer_has_its_fallback_list_at_once(job: Operator) -> None:
    def away(requests: object) -> list[object]:
        raise NoScorer("the process died")

    score, job.scorer.score = job.scorer.score, away  # type: ignore[assignment]
    job.event("u1")
    job.batcher.run_once()
    assert lists(job.turns()) == [("u1", 1, "neighbours")]
    assert job.fire() == [], "no second time at the deadline"
    assert job.promises == {"u1": job.settings.retry_after_ms}
    job.scorer.score = score
    job.fire()
    job.batcher.run_once()
    assert lists(job.turns()) == [("u1", 1, "model")]


def test_a_fallback_list_that_fails_takes_no_list_of_others_along(
    job: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in ("u2", "u1"):
        job.event(user)
    job.scorer.score = lambda requests: [encoded_list(job, requests[0]), NoScorer("the process died")]
    job.batcher.run_once()
    with monkeypatch.context() as patch:
        patch.setattr(job.lists, "encoded_fallback", lambda *_, **_keywords: 1 / 0)
        assert lists(job.turns()) == [("u2", 1, "model")]
    assert job.sensors.own_errors == ["fallback"]
    assert lists(job.fire("u1")) == [("u1", 1, "neighbours")], "with its promise"


def test_a_list_carries_its_order_and_the_digest_of_its_state(job: Operator) -> None:
    for number in range(2):
        job.event("u1", number)
        job.batcher.run_once()
    (model,) = job.turns()
    job.event("u1", 2)
    job.seconds = 0.6
    (fallback,) = job.fire("u1")
    for output, version in ((model, 2), (fallback, 3)):
        made = json.loads(output.value or b"")
        assert made["version"] == version
        assert (output.headers or {})[ORDER_HEADER] == f"{made['epoch']}.{version}".encode()
    assert (fallback.headers or {})[DIGEST_HEADER] == digest(job.state["u1"]).encode()


def test_a_busy_shopper_of_a_healthy_scorer_is_not_late(job: Operator) -> None:
    job.event("u1", 0)
    for number in range(1, 200):
        job.seconds += 0.005
        job.batcher.send()
        job.event("u1", number)
        job.batcher.receive(0)
        if "u1" in job.promises and number % 100 == 0:
            sources = {source for _, _, source in lists(job.fire())}
            assert "neighbours" not in sources and "popular" not in sources


def encoded_list(job: Operator, request: Request) -> Encoded:
    (made,) = job.lists.make_encoded([request])
    assert not isinstance(made, Exception)
    return made


def record(user: str, number: int = 0, **fields) -> InputRecord:
    body = good_event(event_id=f"e{number}", user_id=user, **fields)
    return InputRecord(user, json.dumps(body).encode(), EVENTS, 1, 42 + number, NOW_MS, True)


def test_the_promise_of_a_list_that_is_out_is_taken_back(job: Operator) -> None:
    job.event()
    job.batcher.run_once()
    assert lists(job.turns()) == [("u1", 1, "model")]
    assert job.promises == {} and not job.logic._pending
    job.event(number=1)
    assert job.promises == {"u1": job.settings.deadline_ms}, "the next list has a promise of its own"
    job.event(number=2)
    job.batcher.run_once()
    late = Turn("u1", job.state["u1"], None, 5)
    assert lists(job.turns(late)) == [("u1", 3, "model")], "it fired when the list was ready: nobody is asked again"
    assert job.batcher.waiting == 0 and job.promises == {}
