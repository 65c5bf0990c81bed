"""The operator while nobody can be asked, or the scorer hangs: one fallback list for each event, and the model again later."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

import pytest

from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.refresh.batch_scorer import NoScorer
from operators.refresh.pending import MAX_BACK_OFF
from tests.operators.refresh.test_refresh_logic import Operator, job, lists

__all__ = ["job"]


def test_in_a_long_outage_one_fallback_goes_out_and_the_model_is_asked_less_and_less_often(job: Operator) -> None:
    job.event()
    waits, written, usual = [], [], job.settings.retry_after_ms
    for number in range(6):
        job.seconds += 0.6
        written += lists(job.fire())  # past the deadline
        waits.append(job.promises["u1"])
        if number < 5:
            written += lists(job.fire())  # asked again
    assert written == [("u1", 1, "neighbours")] and job.sensors.fallbacks == ["deadline"]
    assert waits == [usual, 2 * usual, 4 * usual, *[MAX_BACK_OFF * usual] * 3]
    job.event(number=1)
    job.seconds += 0.6
    assert lists(job.fire()) == [("u1", 2, "neighbours")], "an event has its list at once"
    assert job.promises == {"u1": usual}
    job.fire()
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 2, "model")]
    assert job.promises == {} and not job.logic._pending


@pytest.fixture
def unmanned(job: Operator) -> Operator:
    """Its scorer process is gone; `job.scorer.score = job.manned` brings it back."""

    def nobody(requests: Sequence[Request]) -> list[Encoded | Exception]:
        raise NoScorer("the scorer process died")

    job.manned, job.scorer.score = job.scorer.score, nobody
    return job


def test_who_met_no_scorer_has_a_fallback_at_once_and_the_models_list_later(unmanned: Operator) -> None:
    job = unmanned
    job.event("u1")
    job.event("u2")
    job.batcher.run_once()
    assert lists(job.turns()) == [("u1", 1, "neighbours"), ("u2", 1, "neighbours")]
    assert lists(job.fire("u1")) == lists(job.fire("u2")) == []
    assert job.sensors.fallbacks == ["failed", "failed"]
    assert job.promises == dict.fromkeys(("u1", "u2"), job.settings.retry_after_ms)
    job.fire("u1")
    job.batcher.run_once()
    assert lists(job.fire("u1")) == []
    assert job.promises["u1"] == 2 * job.settings.retry_after_ms
    job.scorer.score = job.manned
    for user in ("u1", "u2"):
        job.fire(user)
        job.batcher.run_once()
        assert lists(job.fire(user)) == [(user, 1, "model")]
    assert job.promises == {}


def test_a_newer_event_that_met_the_scorer_makes_up_for_it(unmanned: Operator) -> None:
    job = unmanned
    job.event(number=0)
    job.batcher.run_once()
    job.scorer.score = job.manned
    assert lists(job.event(number=1)) == [("u1", 1, "neighbours")]
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 2, "model")]
    while job.promises:
        assert lists(job.fire()) == []


def test_an_erased_user_is_not_asked_for(unmanned: Operator) -> None:
    job = unmanned
    job.event()
    job.batcher.run_once()
    job.read("u1", b'{"user_id":"u1"}', topic="shop.erasures.v1")
    while job.promises:
        assert lists(job.fire()) == []


@contextlib.contextmanager
def a_batch_is_scored(job: Operator) -> Iterator[None]:
    """Until the end of the block the scorer works on what waits at its beginning."""
    begun, released, make = threading.Event(), threading.Event(), job.lists.make_encoded

    def hang(asked, **options):
        begun.set()
        released.wait(5)
        return make(asked, **options)

    job.lists.make_encoded = hang
    thread = threading.Thread(target=job.batcher.run_once)
    thread.start()
    begun.wait(5)
    yield
    released.set()
    thread.join(5)
    job.lists.make_encoded = make


def test_who_was_in_a_batch_that_hangs_is_not_scored_again_before_the_next_event(job: Operator) -> None:
    job.event("guilty")
    with a_batch_is_scored(job):
        job.event("behind")
        job.seconds = 0.6
        assert lists(job.fire("guilty")) == [("guilty", 1, "neighbours")]
        assert lists(job.fire("behind")) == [("behind", 1, "neighbours")]
        assert job.promises == {"behind": job.settings.retry_after_ms}
    assert lists(job.read("anyone", None)) == []
    job.fire("behind")
    job.batcher.run_once()
    assert lists(job.fire("behind")) == [("behind", 1, "model")]
    job.event("guilty", number=1)
    job.batcher.run_once()
    assert lists(job.fire("guilty")) == [("guilty", 2, "model")]


def test_who_waited_for_a_batch_that_hung_and_is_late_in_the_next_is_scored_again(job: Operator) -> None:
    job.event()
    job.seconds = 0.55
    with a_batch_is_scored(job):
        job.seconds = 0.6
        assert lists(job.fire()) == [("u1", 1, "neighbours")]
    assert lists(job.read("anyone", None)) == [], "a late list never follows the fallback"
    assert job.promises == {"u1": job.settings.retry_after_ms}
    job.fire()
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 1, "model")]
