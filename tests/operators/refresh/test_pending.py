"""The record of a user with an open promise: its phases, its age, and that none stays behind."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.contracts import ERASURES
from operators.refresh.batch_scorer import NoScorer
from operators.refresh.exactly_once import Transactions
from operators.refresh.micro_batcher import Answer
from operators.refresh.pending import MAX_BACK_OFF, Pending
from tests.builders import write_bundle
from tests.operators.refresh.test_refresh_logic import Operator, job, lists

__all__ = ["job"]


def request(number: int = 0) -> Request:
    return Request("u1", b"", number)


def test_a_request_is_as_old_as_the_first_one_that_has_no_answer() -> None:
    pending, first, second = Pending(), request(1), request(2)
    pending.submit(first, 0.0)
    pending.submit(second, 0.4)
    assert not pending.is_late(0.49, 500) and pending.is_late(0.5, 500)
    pending.close(Answer("u1", first, RuntimeError()))
    assert pending.phase == "scoring", "the newest is not answered yet"
    assert not pending.is_late(0.89, 500) and pending.is_late(0.9, 500), "and is the oldest now"
    pending.close(Answer("u1", second, RuntimeError()))
    assert pending.phase == "answered"
    pending.submit(request(3), 0.6)
    assert not pending.is_late(1.0, 500)


def test_one_who_met_no_scorer_is_owed_a_list() -> None:
    pending, only = Pending(), request()
    pending.submit(only, 0.0)
    pending.close(Answer("u1", only, NoScorer()))
    assert pending.phase == "owed"


def test_when_a_user_is_looked_at_next() -> None:
    pending = Pending()
    pending.submit(request(), 0.0)
    assert pending.next_look_ms(0.1, 500) == 400
    assert pending.next_look_ms(9.0, 500) == 1
    waits = []
    for order in [(1, 1)] * 5 + [(1, 2)]:
        pending.fall_back(order, 1000)
        waits.append(pending.next_look_ms(9.0, 500))
    assert waits == [1000, 2000, 4000, MAX_BACK_OFF * 1000, MAX_BACK_OFF * 1000, 1000]


def test_the_oldest_unanswered_request_is_known_from_any_thread(job: Operator) -> None:
    assert job.logic.oldest_s == 0
    job.event("u1")
    job.seconds = 0.2
    job.event("u2")
    job.seconds = 0.3
    assert job.logic.oldest_s == pytest.approx(0.3)
    job.batcher.run_once()
    assert job.logic.oldest_s == pytest.approx(0.3), "answered, but nobody has taken the answers"
    job.read("anyone", None)
    assert job.logic.oldest_s == 0


@pytest.mark.parametrize("refused", [False, True], ids=["no scorer", "refused"])
def test_in_a_long_outage_there_is_one_record_for_each_open_promise(job: Operator, refused: bool) -> None:
    def no_scorer(requests):
        raise NoScorer("the process died")

    score, users = job.scorer.score, [f"u{number}" for number in range(20)]
    job.scorer.score, job.batcher._max_waiting = no_scorer, 0 if refused else 1000
    job.batcher._started = 0.0 if refused else None
    for number in range(11):
        job.seconds += 1
        for user in users[: 2 * number]:
            job.event(user, number=number)
        if not refused:
            job.batcher.run_once()
        for user in list(job.promises):
            job.fire(user)
        assert job.logic._pending.keys() == job.promises.keys()
    assert len(job.logic._pending) == len(users)
    job.scorer.score, job.batcher._max_waiting, job.batcher._started = score, 1000, None
    for _ in range(5):
        while job.batcher.run_once():
            pass
        for user in list(job.promises):
            if user in job.promises:  # else its list went out with another's turn
                job.fire(user)
    assert not job.promises and not job.logic._pending


def test_an_answer_to_an_older_request_does_not_settle_what_an_error_of_ours_left_open(
    job: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.event(number=0)
    with monkeypatch.context() as patch:
        patch.setattr(job.batcher, "submit", lambda *_: 1 / 0)
        job.event(number=1)
    job.batcher.run_once()
    assert lists(job.read("anyone", None)) == [("u1", 1, "model")]
    assert lists(job.fire()) == [("u1", 2, "neighbours")]
    job.fire()
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 2, "model")]


@pytest.mark.parametrize("transactions", [None, Transactions(900_000, 5_000)], ids=["at least once", "exactly once"])
def test_no_older_list_follows_the_fallback_list_of_a_refused_request(
    tmp_path: Path, transactions: Transactions | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Operator(write_bundle(tmp_path), transactions)
    score = job.scorer.score

    def score_while_events_come(requests: Sequence[Request]) -> list[Encoded | Exception]:
        job.scorer.score = score
        with monkeypatch.context() as patch:
            patch.setattr(job.batcher, "submit", list)
            assert lists(job.event(number=1)) == [("u1", 2, "neighbours")]
        assert job.event(number=2) == []
        return score(requests)

    job.scorer.score = score_while_events_come
    job.event(number=0)
    job.batcher.run_once()
    assert lists(job.fire()) == []
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 3, "model")]


def test_an_event_after_an_error_of_ours_does_not_wait_for_the_promise_of_that(
    job: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(job.batcher, "submit", lambda *_: 1 / 0)
        job.event(number=0)
    assert job.promises == {"u1": job.settings.retry_after_ms}
    job.event(number=1)
    assert job.promises == {"u1": job.settings.deadline_ms}


def test_a_request_after_a_fallback_that_failed_is_not_late_at_once(
    job: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.event(number=0)
    job.seconds = 0.6
    with monkeypatch.context() as patch:
        patch.setattr(job.lists, "encoded_fallback", lambda *_, **__: 1 / 0)
        assert job.fire() == []
    assert job.sensors.own_errors == ["promise"]
    job.event(number=1)
    assert lists(job.fire()) == [], "it waits for the model"
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 2, "model")]


def test_an_event_after_an_erasure_does_not_wait_for_the_promise_of_a_fallback(job: Operator) -> None:
    job.event(number=0)
    job.seconds = 0.6
    job.fire()
    job.read("u1", b'{"user_id":"u1"}', ERASURES)
    assert job.promises == {"u1": job.settings.retry_after_ms}
    job.broker_ms += 5000
    job.event(number=1, event_time=job.broker_ms)
    assert job.promises == {"u1": job.settings.deadline_ms}
