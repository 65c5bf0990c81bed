"""Two batches in flight: the scorer has the next one before it is done with the first."""

import math
import threading
import time

import pytest

from operators.refresh import micro_batcher
from operators.refresh.batch_scorer import NoScorer
from operators.refresh.micro_batcher import MicroBatcher
from tests.operators.refresh.scorer_fakes import Clock, Distant, batcher, results, submit


@pytest.fixture
def scorer() -> Distant:
    return Distant()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waiting(scorer: Distant, clock: Clock) -> MicroBatcher[str, str]:
    return batcher(scorer, clock)


def sent(waiting: MicroBatcher[str, str], **requests: str) -> None:
    """One batch, if the scorer does not have enough."""
    waiting.submit(requests)
    while waiting._due_in_s() == 0:
        waiting.send()


def answered(waiting: MicroBatcher[str, str], scorer: Distant, *answer: str | Exception) -> dict[str, object]:
    scorer.answers.append(list(answer))
    waiting.receive(math.inf)
    return results(waiting.drain())


def test_a_second_batch_is_sent_before_the_first_is_answered_and_a_third_waits(
    waiting: MicroBatcher[str, str], scorer: Distant
) -> None:
    sent(waiting, a="a1")
    sent(waiting, b="b1")
    sent(waiting, c="c1", d="d1")
    assert scorer.batches == [["a1"], ["b1"]] and waiting.waiting == 2
    assert answered(waiting, scorer, "A1") == {"a": "A1"}
    sent(waiting)
    assert scorer.batches == [["a1"], ["b1"], ["c1", "d1"]]
    assert answered(waiting, scorer, "B1") == {"b": "B1"}
    assert answered(waiting, scorer, "C1", "D1") == {"c": "C1", "d": "D1"}


def test_a_user_may_be_in_both_and_is_answered_in_order(waiting: MicroBatcher[str, str], scorer: Distant) -> None:
    for request in ("old", "newer", "stale", "newest"):
        sent(waiting, a=request)
    assert scorer.batches == [["old"], ["newer"]], "what was sent stays; of what waits the newest counts"
    assert answered(waiting, scorer, "OLD") == {"a": "OLD"}
    sent(waiting)
    assert scorer.batches[2:] == [["newest"]]
    scorer.answers += [["NEWER"], ["NEWEST"]]
    waiting.receive(0)
    waiting.receive(0)
    assert [answer.result for answer in waiting.drain()] == ["NEWER", "NEWEST"]


def test_the_time_of_the_second_begins_when_the_first_is_answered(
    waiting: MicroBatcher[str, str], scorer: Distant, clock: Clock
) -> None:
    sent(waiting, a="a")
    clock.now = 0.9
    sent(waiting, b="b")
    assert not waiting.hangs()
    answered(waiting, scorer, "A")
    clock.now = 1.8
    assert not waiting.hangs(), "the second has had 0.9 s"
    clock.now = 2.0
    assert waiting.hangs()
    answered(waiting, scorer, "B")
    assert not waiting.hangs()


def test_only_a_request_of_the_batch_that_is_scored_may_be_the_cause_of_a_hang(
    waiting: MicroBatcher[str, str], scorer: Distant, clock: Clock
) -> None:
    sent(waiting, a="a", b="b")
    sent(waiting, c="c", a="a2")
    sent(waiting, d="d")
    clock.now = 0.6
    assert [waiting.abandon(user) for user in "acd"] == [True, False, False]
    assert answered(waiting, scorer, "A", "B") == {"b": "B"}
    assert answered(waiting, scorer, "C", "A2") == {}
    assert waiting.waiting == 0
    sent(waiting, e="e", f="f")
    assert not waiting.abandon("f"), "it waited for the batch that hung, and was sent just now"
    clock.now = 1.1
    assert waiting.abandon("e"), "it is scored for half the deadline"


def test_a_request_after_an_abandoned_one_is_answered(waiting: MicroBatcher[str, str], scorer: Distant) -> None:
    sent(waiting, a="a1")
    waiting.abandon("a")
    sent(waiting, a="a2")
    assert answered(waiting, scorer, "A1") == {}
    assert answered(waiting, scorer, "A2") == {"a": "A2"}


def test_a_scorer_that_is_lost_answers_neither_and_the_next_one_scores_what_waits(
    waiting: MicroBatcher[str, str], scorer: Distant
) -> None:
    for user in "abc":
        sent(waiting, **{user: user})
    waiting.abandon("b")
    scorer.answers.append(lost := NoScorer("it died"))
    waiting.receive(math.inf)
    assert results(waiting.drain()) == {"a": lost}
    assert scorer.forgotten and not waiting.hangs()
    sent(waiting)
    assert answered(waiting, scorer, "C") == {"c": "C"}


def test_what_cannot_be_sent_is_answered_at_once_and_waits_while_a_scorer_starts(
    waiting: MicroBatcher[str, str], scorer: Distant, clock: Clock
) -> None:
    scorer.missing = NoScorer("it does not start")

    def start() -> None:
        clock.now += 2
        assert waiting.hangs(), "nobody waits for room meanwhile"
        assert not waiting.abandon("b"), "it is not the cause"
        assert scorer.missing
        raise scorer.missing

    scorer.prepare = start  # type: ignore[method-assign]
    sent(waiting, a="a", b="b")
    assert results(waiting.drain()) == {"a": scorer.missing}
    assert not scorer.batches and not waiting.hangs()


def test_one_wake_up_for_the_answers_of_both(scorer: Distant) -> None:
    woken: list[int] = []
    waiting = batcher(scorer, on_answers=lambda: woken.append(1))
    sent(waiting, a="a")
    sent(waiting, b="b")
    scorer.answers.append(NoScorer())
    waiting.receive(0)
    assert woken == [1] and len(waiting.drain()) == 2


def test_who_waits_for_room_goes_on_as_soon_as_a_batch_is_sent(
    monkeypatch: pytest.MonkeyPatch, scorer: Distant
) -> None:
    monkeypatch.setattr(micro_batcher, "LOOK_SECONDS", 5.0)
    waiting = batcher(scorer, time.monotonic, max_waiting=1, deadline_s=10.0)
    submit(waiting, "a", "a")
    caller = threading.Thread(target=submit, args=(waiting, "b", "b"))
    caller.start()
    caller.join(0.1)
    assert caller.is_alive(), "there is no room"
    waiting.send()
    caller.join(2)
    assert not caller.is_alive() and waiting.waiting == 1
