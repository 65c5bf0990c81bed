"""Exactly-once delivery: lists leave in turns of their users, and one that was lost with its transaction is written again."""

from pathlib import Path

import pytest

from operators.refresh.batch_scorer import NoScorer
from operators.refresh.exactly_once import Transactions
from operators.refresh.refresh_records import Turn
from tests.builders import write_bundle
from tests.operators.refresh.test_refresh_logic import Operator, lists


@pytest.fixture
def job(tmp_path: Path) -> Operator:
    return Operator(write_bundle(tmp_path), Transactions(900_000, 5_000))


def test_when_lists_are_ready_the_turns_of_their_users_are_wanted_once(job: Operator) -> None:
    job.event("u1")
    job.event("u2")
    assert job.promises == dict.fromkeys(("u1", "u2"), job.settings.deadline_ms), "nobody looks before the deadline"
    job.batcher.run_once()
    wanted = job.logic.on_batch(())
    assert (wanted.outputs, [*wanted.wanted]) == ([], ["u1", "u2"])
    assert job.logic.on_batch(()).wanted == []
    assert lists(job.fire("u1")) == [("u1", 1, "model")]


def test_a_list_leaves_as_soon_as_it_is_ready_and_its_promise_finds_nothing_to_do(job: Operator) -> None:
    job.event()
    job.batcher.run_once()
    assert lists(job.turns()) == [("u1", 1, "model")]
    assert job.promises == {"u1": 15_000}, "a look at whether it was committed"
    assert job.turns(Turn("u1", job.state["u1"], None, 0)) == [], "of the request"
    assert job.fire() == []
    assert not job.logic._pending


def test_the_request_after_a_list_has_a_deadline_of_its_own(job: Operator) -> None:
    job.event()
    job.batcher.run_once()
    job.turns()
    job.event(number=1)
    assert job.promises == {"u1": job.settings.deadline_ms}, "the look at the list before waits no longer"


def test_a_list_of_a_user_in_the_batch_needs_no_other_turn(job: Operator) -> None:
    job.event()
    job.batcher.run_once()
    actions = job.logic.on_batch([Turn("u1", job.state["u1"], None, 0)])
    assert lists(actions.outputs) == [("u1", 1, "model")] and actions.wanted == []


def test_a_request_that_reaches_no_scorer_has_its_fallback_list_at_once(job: Operator) -> None:
    def away(requests: object) -> list[object]:
        raise NoScorer("the process died")

    job.scorer.score = away  # type: ignore[assignment]
    job.event()
    job.batcher.run_once()
    assert lists(job.turns()) == [("u1", 1, "neighbours")]
    assert job.promises == {"u1": job.settings.retry_after_ms}


def test_the_answer_for_a_user_whose_state_is_gone_is_not_kept(job: Operator) -> None:
    job.event()
    job.batcher.run_once()
    job.read("anyone", None)
    del job.state["u1"]  # the engine forgets users who were idle for long
    assert lists(job.fire()) == []
    assert not job.logic._pending


def test_a_list_that_was_lost_with_its_transaction_is_written_again(job: Operator) -> None:
    job.event()
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 1, "model")]
    assert job.promises == {"u1": 15_000}, "a look at whether it was committed"
    kept = dict(job.state), dict(job.promises)
    assert job.fire() == [] and job.promises == {}
    job.restart()
    job.state, job.promises = kept
    assert job.fire(late_ms=60_000) == [] and job.promises == {}, "down for a minute: the transaction was open still"
    job.restart()
    job.state, job.promises = kept[0], {"u1": 15_000}
    assert job.fire(late_ms=880_000) == []
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 1, "model")]
    assert job.sensors.rewritten == 1
    job.fire()
    assert job.promises == {}
