"""A batch of entries and timers: states, timers and examples of several users, and errors of our own."""

from collections import defaultdict
from collections.abc import Collection

import pytest

from operators.feedback.example_writer import decode_example
from operators.feedback.feedback_join import FeedbackJoin
from operators.feedback.feedback_logic import RETRY_MS, FeedbackActions, FeedbackLogic, FeedbackTurn
from operators.feedback.join_entries import (
    ArmsEntry,
    ClocksEntry,
    EventEntry,
    ForgottenEntry,
    JoinEntry,
    ServedEntry,
    decode_entry,
    encode_entry,
)
from operators.feedback.join_limits import Windows
from operators.feedback.join_records import ArmOutcome
from operators.feedback.join_state import JoinState
from operators.feedback.served_record import pack_served
from operators.records.contracts import Event
from tests.builders import NOW_MS
from tests.operators.feedback.shopper import served

WINDOWS = Windows(1_000, 5_000, 20_000)
PARTITION = 3


class Sensors:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.errors: list[str] = []
        self.arms: list[tuple[str, str]] = []
        self.of_arms: defaultdict[tuple[str, str], float] = defaultdict(float)

    def on_joined(self, reason: str, count: int) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + count

    def on_arms(self, arms: Collection[tuple[str, str]]) -> None:
        self.arms = [*arms]

    def on_arm_outcome(self, outcome: ArmOutcome) -> None:
        self.of_arms[outcome.experiment.name, outcome.outcome] += outcome.amount

    def on_own_error(self, where: str) -> None:
        self.errors.append(where)


class Operator:
    """The logic with the states that Flink would keep."""

    def __init__(self) -> None:
        self.sensors = Sensors()
        self.logic = FeedbackLogic(WINDOWS, NOW_MS, self.sensors, lambda: NOW_MS / 1000)
        self.states: dict[str, bytes | None] = {}

    def turns(self, *entries: tuple[str, JoinEntry | None], at: int = 0) -> FeedbackActions:
        """One batch; each user's state goes with the first turn."""
        first = dict.fromkeys(user for user, _ in entries)
        turns = [FeedbackTurn(user, first.pop(user, None) or self.states.get(user), entry) for user, entry in entries]
        actions = self.logic.on_batch(turns, NOW_MS + at)
        self.states |= actions.states
        return actions


def happened(kind: str, at: int, **fields) -> EventEntry:
    event = Event(event_id=f"e{at}", event_type=kind, event_time=NOW_MS + at, user_id="u1", **fields)  # type: ignore[arg-type]
    return EventEntry(event, PARTITION, NOW_MS + at)


SHOWN = happened("impression", 1, items=["i1", "i2"], recommendation_id="r1")
CLICKED = happened("click", 2, item_id="i2", recommendation_id="r1")


@pytest.mark.parametrize(
    "entry",
    [
        ServedEntry(pack_served(served())),
        SHOWN,
        ForgottenEntry(NOW_MS, 7),
        ClocksEntry({0: 1, 3: NOW_MS}),
        ArmsEntry([("e", "a")]),
    ],
)
def test_an_entry_crosses_as_it_is(entry: JoinEntry) -> None:
    assert decode_entry(encode_entry(entry)) == entry


def test_a_batch_goes_on_from_the_state_of_a_users_earlier_turn() -> None:
    operator = Operator()
    actions = operator.turns(("u1", ServedEntry(pack_served(served()))), ("u1", SHOWN), ("u1", CLICKED))
    assert list(actions.states) == ["u1"] and actions.examples == []
    assert len(JoinState.read(operator.states["u1"]).lists) == 1
    (delay_ms,) = actions.timers.values()
    assert 0 < delay_ms <= WINDOWS.click_ms + 1100


def test_examples_go_out_when_another_users_record_has_passed_the_window() -> None:
    operator = Operator()
    operator.turns(("u1", ServedEntry(pack_served(served()))), ("u1", SHOWN), ("u1", CLICKED))
    assert operator.turns(("u2", ClocksEntry({PARTITION: NOW_MS + 1001})), ("u1", None), at=3000).examples == []
    actions = operator.turns(("u2", ClocksEntry({PARTITION: NOW_MS + 1002})), ("u1", None), at=5000)
    assert {user for user, _ in actions.examples} == {"u1"}
    labels = {(made := decode_example(value)).item_id: made.label for _, value in actions.examples}
    assert labels == {"i1": "none", "i2": "click"}
    assert operator.sensors.counts == {"example": 2}


def test_clocks_change_no_state_and_set_no_timer() -> None:
    assert Operator().turns(("u2", ClocksEntry({PARTITION: NOW_MS}))) == FeedbackActions()


def test_an_erased_users_lists_are_gone_and_the_erasure_is_remembered() -> None:
    operator = Operator()
    operator.turns(("u1", SHOWN))
    operator.turns(("u1", ForgottenEntry(NOW_MS + 5, 9)))
    state = JoinState.read(operator.states["u1"])
    assert (state.lists, state.epoch, state.erased_ms) == ([], 9, NOW_MS + 5)
    assert operator.sensors.counts["forgotten_list"] == 1


def test_a_state_of_which_nothing_is_left_is_cleared() -> None:
    operator = Operator()
    operator.turns(("u1", ServedEntry(pack_served(served()))))
    actions = operator.turns(("u1", None), at=WINDOWS.unseen_ms + 2)
    assert actions.states == {"u1": None} and operator.sensors.counts == {"unseen_list": 1}


def test_a_timer_that_fires_has_come_also_where_the_clock_was_set_back() -> None:
    operator = Operator()
    operator.turns(("u1", SHOWN))
    state = operator.states["u1"]
    due_ms = JoinState.read(state).wake_ms
    assert not operator.logic.on_batch([FeedbackTurn("u1", state, None, due_ms - 5000)], due_ms - 5000).states
    assert operator.logic.on_batch([FeedbackTurn("u1", state, None, due_ms)], due_ms - 20).examples


def test_an_entry_that_fails_changes_nothing_and_the_others_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = Operator()
    bad = ServedEntry(b"no list")
    actions = operator.turns(("u1", SHOWN), ("u1", bad), ("u2", bad), ("u1", CLICKED))
    assert operator.sensors.errors == ["feedback", "feedback"] and list(actions.states) == ["u1"]

    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(FeedbackJoin, "on_timer", fails)
    assert operator.turns(("u1", None)).timers == {"u1": RETRY_MS}, "else the lists would wait for ever"


def test_the_sensors_learn_which_arms_run_and_what_their_shoppers_do() -> None:
    operator = Operator()
    actions = operator.turns(("u1", ArmsEntry([("e", "arm")])), ("u1", ServedEntry(pack_served(served()))))
    operator.turns(("u1", SHOWN), ("u1", CLICKED))
    assert operator.sensors.arms == [("e", "arm")] and "u1" in actions.states
    assert operator.sensors.of_arms == {("e", "impression"): 2, ("e", "click"): 1}
