import threading
import time
from collections.abc import Sequence
from copy import copy

import pytest

from operators.refresh.batch_pace import GATHER_S, HANDFUL
from tests.operators.refresh.scorer_fakes import Clock, Recorder, batcher, results, submit


def test_what_waits_goes_in_one_batch() -> None:
    score = Recorder()
    waiting = batcher(score)
    for user in "abc":
        submit(waiting, user, user)
    assert waiting.run_once() == 3
    assert score.batches == [["a", "b", "c"]]
    assert results(waiting.drain()) == {"a": "A", "b": "B", "c": "C"}
    assert waiting.run_once() == 0


def test_the_newest_request_of_a_user_wins() -> None:
    score = Recorder()
    waiting = batcher(score)
    submit(waiting, "a", "old")
    submit(waiting, "a", "new")
    waiting.run_once()
    assert score.batches == [["new"]]


def test_a_batch_is_bounded_and_the_oldest_go_first() -> None:
    score = Recorder()
    waiting = batcher(score)
    for user in "abcdef":
        submit(waiting, user, user)
    waiting.run_once()
    waiting.run_once()
    assert score.batches == [["a", "b", "c", "d"], ["e", "f"]]


def test_one_guilty_request_fails_alone() -> None:
    waiting = batcher(Recorder())
    for user, request in (("a", "a"), ("b", "poison"), ("c", "c")):
        submit(waiting, user, request)
    waiting.run_once()
    found = results(waiting.drain())
    assert (found["a"], found["c"]) == ("A", "C")
    assert isinstance(found["b"], ValueError)


def test_a_scorer_that_answers_too_few_fails_everyone_rather_than_mixing_them_up() -> None:
    waiting = batcher(lambda requests: [] if len(requests) > 1 else ["one"])
    submit(waiting, "a", "a")
    submit(waiting, "b", "b")
    waiting.run_once()
    assert results(waiting.drain()) == {"a": "one", "b": "one"}


def test_an_abandoned_request_is_neither_scored_nor_answered() -> None:
    score = Recorder()
    waiting = batcher(score)
    submit(waiting, "a", "a")
    submit(waiting, "b", "b")
    waiting.abandon("a")
    waiting.run_once()
    assert score.batches == [["b"]]
    assert results(waiting.drain()) == {"b": "B"}


def test_an_answer_that_comes_after_it_was_abandoned_is_dropped() -> None:
    flying, go_on = threading.Event(), threading.Event()

    def slow(requests: Sequence[str]) -> list[str | Exception]:
        flying.set()
        go_on.wait(5)
        return list(requests)

    waiting = batcher(slow)
    submit(waiting, "a", "a")
    thread = threading.Thread(target=waiting.run_once)
    thread.start()
    flying.wait(5)
    waiting.abandon("a")
    go_on.set()
    thread.join(5)
    assert waiting.drain() == []


def test_while_the_scorer_hangs_submit_refuses_instead_of_blocking() -> None:
    clock, flying, go_on = Clock(), threading.Event(), threading.Event()

    def hang(requests: Sequence[str]) -> list[str | Exception]:
        flying.set()
        go_on.wait(5)
        return list(requests)

    waiting = batcher(hang, clock, max_waiting=2)
    submit(waiting, "a", "a")
    thread = threading.Thread(target=waiting.run_once)
    thread.start()
    flying.wait(5)
    assert submit(waiting, "b", "b")
    assert submit(waiting, "c", "c")
    clock.now = 2.0
    assert waiting.hangs()
    assert not submit(waiting, "d", "d")
    assert submit(waiting, "b", "newer"), "a user who waits already takes no more room"
    go_on.set()
    thread.join(5)
    assert not waiting.hangs()
    assert waiting.run_once() == 2


def test_submit_blocks_while_too_much_waits_and_goes_on_when_there_is_room() -> None:
    waiting = batcher(Recorder(), max_waiting=2)
    submit(waiting, "a", "a")
    submit(waiting, "b", "b")
    blocked = threading.Thread(target=waiting.submit, args=({"c": "c"},))
    blocked.start()
    blocked.join(0.1)
    assert blocked.is_alive()
    waiting.run_once()
    blocked.join(5)
    assert not blocked.is_alive()
    assert waiting.waiting == 1


@pytest.mark.parametrize("users", [1, 500])
def test_the_thread_answers_everyone_and_closes(users: int) -> None:
    waiting = batcher(Recorder(), time.monotonic, max_waiting=64)
    waiting.start()
    answered: dict[str, object] = {}
    for number in range(users):
        assert submit(waiting, f"u{number}", f"r{number}")
        waiting.wake()
        answered |= results(waiting.drain())
    deadline = time.monotonic() + 5
    while len(answered) < users and time.monotonic() < deadline:
        waiting.wake()
        answered |= results(waiting.drain())
    assert answered == {f"u{n}": f"R{n}" for n in range(users)}
    assert waiting.close()
    assert not submit(waiting, "late", "late")


def test_in_a_stream_a_handful_gathers_and_after_it_nobody_waits() -> None:
    clock, score = Clock(), Recorder()
    waiting = batcher(score, clock, max_batch=64, max_waiting=500)

    def submit_many(count: int) -> None:
        for number in range(count):
            clock.now += 0.0001
            submit(waiting, f"u{number}", f"r{number}")

    def scored(batches: int) -> bool:
        deadline = time.monotonic() + 5
        while len(score.batches) < batches and time.monotonic() < deadline:
            time.sleep(0.001)
        return len(score.batches) == batches

    submit_many(500)  # long enough to be known as a stream
    while waiting.run_once():
        pass
    score.batches.clear()
    waiting.start()
    submit_many(20)
    waiting.wake()
    time.sleep(0.05)
    assert not score.batches, "fewer than a handful, and no time has passed on its clock"
    clock.now += GATHER_S
    assert scored(1) and len(score.batches[0]) == 20
    submit_many(HANDFUL)
    assert scored(2) and len(score.batches[1]) == HANDFUL
    clock.now += 1
    submit(waiting, "late", "late")
    assert scored(3), "the stream is over: at once"
    assert waiting.close()


def test_the_request_that_makes_it_a_stream_does_not_wait_for_a_handful() -> None:
    clock, score = Clock(), Recorder()
    waiting = batcher(score, clock)
    gap = 0.0001

    def next_one_makes_a_stream() -> bool:
        pace = copy(waiting._pace)
        pace.on_requests(1, clock.now + gap)
        return pace.streams(clock.now + gap)

    while not next_one_makes_a_stream():
        clock.now += gap
        submit(waiting, "u", "before")
        waiting.run_once()
    score.batches.clear()
    waiting.start()
    time.sleep(0.05)
    clock.now += gap
    submit(waiting, "u", "first")
    clock.now += GATHER_S
    deadline = time.monotonic() + 5
    while not score.batches and time.monotonic() < deadline:
        time.sleep(0.001)
    assert score.batches == [["first"]]
    assert waiting.close()


def test_a_batch_of_requests_that_does_not_fit_goes_on_as_room_appears_and_refuses_the_rest_after_the_deadline() -> (
    None
):
    clock = Clock()
    waiting = batcher(Recorder(), clock, max_waiting=3)
    waiting.start()
    assert not waiting.submit({f"u{number}": "r" for number in range(50)}), "the scorer works meanwhile"
    assert waiting.close()
    waiting = batcher(Recorder(), time.monotonic, max_waiting=3, deadline_s=0.1)
    begun = time.monotonic()
    assert waiting.submit({f"u{number}": "r" for number in range(50)}) == [f"u{number}" for number in range(3, 50)]
    assert time.monotonic() - begun < 1, "one deadline for all of them"
