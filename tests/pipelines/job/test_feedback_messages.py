"""Batches of the feedback join as they cross between Java and Python."""

from typing import Any

import msgspec
import pytest

from operators.feedback.feedback_logic import FeedbackActions, FeedbackTurn
from operators.feedback.join_entries import ClocksEntry, EventEntry, ForgottenEntry, ServedEntry, encode_entry
from operators.settings import JobSettings, Settings
from pipelines.job import feedback_function
from pipelines.job.feedback_function import FeedbackFunction
from pipelines.job.feedback_messages import FeedbackMessage
from pipelines.scoring.wake_up import NO_PIPE
from tests.builders import NOW_MS, event

ENTRIES = [
    ServedEntry(b"list"),
    EventEntry(event(1, "click", item_id="i1"), 3, NOW_MS),
    ForgottenEntry(NOW_MS, 7),
    ClocksEntry({0: NOW_MS, 3: 5}),
]


def packed(*entries: list[Any]) -> bytes:
    """As `Batch.java` packs them: an entry's last field is the refresh operator's bytes, as they are."""
    return msgspec.msgpack.encode([[*own, *map(msgspec.Raw, record)] for *own, record in entries])


def record(user: bytes, state: bytes | None, entry: Any) -> list[Any]:
    return [user, state, None, [encode_entry(entry)]]


def timer(user: bytes, state: bytes | None = None) -> list[Any]:
    return [user, state, NOW_MS - 7, []]


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_becomes_a_turn(entry: Any) -> None:
    assert FeedbackMessage(packed(record(b"u1", b"state", entry))).turns == [FeedbackTurn("u1", b"state", entry)]


def test_a_timer_is_a_turn_without_an_entry() -> None:
    batch = FeedbackMessage(packed(timer(b"\xff", b"state"), record(b"u1", None, ENTRIES[0])))
    assert batch.turns == [FeedbackTurn("\udcff", b"state", None, NOW_MS - 7), FeedbackTurn("u1", None, ENTRIES[0])]


def test_an_answer_names_the_first_entry_of_a_user_and_clears_a_state() -> None:
    batch = FeedbackMessage(packed(timer(b"u0"), record(b"u1", None, ENTRIES[0]), timer(b"u1"), timer(b"u2")))
    actions = FeedbackActions({"u1": b"new", "u2": None}, {"u1": 500}, [("u1", b"{}")])
    answer = msgspec.msgpack.decode(batch.answer(actions))
    assert answer == [False, [[1, b"new"], [3, None]], [], [[1, 500]], [["example", b"u1", b"{}", None]], []]


def test_the_function_joins_and_has_a_port_after_those_of_the_operators(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    taken = []

    class Server:
        port = 1

        def __init__(self, registry: Any, host: str, first_port: int, *_: object) -> None:
            taken.append(first_port)

        def close(self) -> None:
            taken.append(0)

    monkeypatch.setattr(feedback_function.FeedbackMetrics.__module__ + ".MetricsServer", Server)
    settings = Settings().model_copy(update={"job": JobSettings(parallelism=3, metrics_port=9260)})
    function = FeedbackFunction(settings, tmp_path, "python")
    function.close()
    function.open(0)
    assert function.wake_up_descriptor() == NO_PIPE < 0
    shown = event(1, "impression", items=["i1"], recommendation_id="r1")
    answer = msgspec.msgpack.decode(function.on_batch(packed(record(b"u1", None, EventEntry(shown, 3, NOW_MS)))))
    _, ((place, state),), _, ((timer_of, delay_ms),), outputs, _ = answer
    assert (place, timer_of, outputs) == (0, 0, []) and state and delay_ms > 0
    function.close()
    assert taken == [9263, 0]
