"""The scorer thread ends, hangs, or cannot be started."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from operators.refresh.batch_scorer import ScorerDied
from operators.refresh.refresh_sensors import NullSensors
from tests.operators.refresh.scorer_fakes import Clock, Recorder, batcher, results, submit


def test_a_scorer_thread_that_dies_is_replaced_and_its_batch_is_answered() -> None:
    def score(requests: Sequence[str]) -> list[str | Exception]:
        if "deadly" in requests:
            raise SystemExit  # no Exception: what a native library may throw through a thread
        return [request.upper() for request in requests]

    waiting = batcher(score, clock=time.monotonic)
    waiting.start()
    submit(waiting, "a", "deadly")
    thread = waiting._thread
    assert thread is not None
    thread.join(5)
    submit(waiting, "b", "b")
    deadline, found = time.monotonic() + 5, {}
    while len(found) < 2 and time.monotonic() < deadline:
        waiting.wake()
        found |= results(waiting.drain())
    assert isinstance(found["a"], ScorerDied)
    assert found["b"] == "B"
    assert waiting.close()


class DeadlySensors(NullSensors):
    """Kills the scorer thread after each batch: what is not asked of the scorer itself may fail too."""

    def __init__(self) -> None:
        self.deaths = 0

    def on_batch(self, size: int, seconds: float) -> None:
        raise MemoryError

    def on_thread_died(self) -> None:
        self.deaths += 1


def within(seconds: float, call: Callable[[], object]) -> object:
    """What the call returns; fails where it blocks."""
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"blocked for {seconds} s"
    return answers[0]


def test_a_thread_that_died_between_two_batches_is_replaced_while_submit_waits_for_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sensors, score = DeadlySensors(), Recorder()
    waiting = batcher(score, time.monotonic, max_waiting=2, sensors=sensors)
    submit(waiting, "a", "a")
    waiting.start()
    thread = waiting._thread
    assert thread is not None
    thread.join(5)
    assert not thread.is_alive() and not waiting._in_flight
    # as if the requests had come just before it died: nobody has noticed it yet
    waiting._waiting |= {"b": "b", "c": "c"}
    assert within(5, lambda: submit(waiting, "d", "d"))
    deadline, found = time.monotonic() + 5, results(waiting.drain())
    while len(found) < 4 and time.monotonic() < deadline:
        waiting.wake()
        found |= results(waiting.drain())
    assert found == {"a": "A", "b": "B", "c": "C", "d": "D"}
    assert sensors.deaths >= 1
    assert "MemoryError" in caplog.text
    waiting.close()


def test_submit_waits_for_room_no_longer_than_the_deadline() -> None:
    clock = Clock()
    waiting = batcher(Recorder(), clock, max_waiting=1)  # without a thread: no batch is ever taken
    submit(waiting, "a", "a")
    blocked: list[bool] = []
    thread = threading.Thread(target=lambda: blocked.append(submit(waiting, "b", "b")), daemon=True)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    clock.now = 1.1
    thread.join(5)
    assert blocked == [False]


def test_where_no_thread_can_be_started_submit_takes_what_there_is_room_for_and_refuses_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sensors = DeadlySensors()
    waiting = batcher(Recorder(), time.monotonic, max_waiting=2, deadline_s=0.2, sensors=sensors)
    submit(waiting, "a", "a")
    waiting.start()
    assert waiting._thread is not None
    waiting._thread.join(5)
    with monkeypatch.context() as no_room:

        def start(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        caller = threading.Thread.start
        no_room.setattr(threading.Thread, "start", start)
        assert submit(waiting, "b", "b") and submit(waiting, "c", "c")
        begun = time.monotonic()
        assert not submit(waiting, "d", "d")
        assert 0.1 < time.monotonic() - begun < 2
        assert sensors.deaths == 0, "it was not replaced"
        assert caller is not threading.Thread.start
    waiting.wake()
    assert sensors.deaths == 1
    assert waiting.close()
