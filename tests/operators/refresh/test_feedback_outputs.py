"""What the feedback join is told by the operator: lists as they go out, events once, erasures, how far partitions were read."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from operators.experiments.plan import ExperimentPlan, plan_of_shares
from operators.feedback.join_entries import (
    ArmsEntry,
    ClocksEntry,
    EventEntry,
    ForgottenEntry,
    JoinEntry,
    ServedEntry,
    decode_entry,
)
from operators.feedback.served_record import Served, low_hash, read_served
from operators.records.contracts import ERASURES, EVENTS, Experiment, Model
from operators.refresh.feedback_outputs import FeedbackOutputs
from operators.refresh.refresh_records import InputRecord, Output, Turn
from operators.shopper.state_layout import migrate
from operators.shopper.user_state import order_of
from tests.bad_records import good_event
from tests.builders import NOW_MS, write_bundle
from tests.operators.refresh.test_refresh_logic import Operator

FEEDBACK = FeedbackOutputs(lambda: Model("known", "1"))


def entries(outputs: list[Output]) -> list[JoinEntry]:
    return [decode_entry(output.value) for output in outputs if output.kind == "feedback" and output.value]


def told(outputs: list[Output]) -> list[JoinEntry]:
    """All but the clocks."""
    return [entry for entry in entries(outputs) if not isinstance(entry, ClocksEntry)]


@pytest.fixture
def joined(tmp_path: Path) -> Operator:
    """An operator that a join follows."""
    return Operator(write_bundle(tmp_path), feedback=FEEDBACK)


def served_of(outputs: list[Output]) -> Served:
    (entry,) = told(outputs)
    assert isinstance(entry, ServedEntry)
    return read_served(entry.record)


def lists_of(outputs: list[Output]) -> list[dict]:
    return [json.loads(output.value) for output in outputs if output.kind == "list" and output.value]


def test_a_list_that_goes_out_is_told_with_its_items_and_the_state_it_was_made_from(joined: Operator) -> None:
    joined.event(number=1, item_id="i1")
    joined.batcher.run_once()
    outputs = joined.turns()
    (made,), served = lists_of(outputs), served_of(outputs)
    assert served.recommendation_id == made["recommendation_id"]
    assert served.items.tolist() == [low_hash(item["item_id"]) for item in made["items"]]
    assert (served.source, served.model) == ("model", Model("known", "1"))
    assert (served.epoch, served.version, served.generated_at) == (made["epoch"], made["version"], made["generated_at"])
    assert migrate(served.state) == joined.state["u1"] and served.propensities is None


def test_the_fallback_list_and_the_list_of_the_model_after_it_are_two_lists(joined: Operator) -> None:
    joined.event(number=1, item_id="i1")
    joined.seconds = 1
    outputs = joined.fire()
    (fallback,), served = lists_of(outputs), served_of(outputs)
    assert (served.source, served.recommendation_id) == (fallback["source"], fallback["recommendation_id"])
    assert served.source == "neighbours"
    joined.fire()
    joined.batcher.run_once()
    outputs = joined.turns()
    assert served_of(outputs).source == "model"
    assert (
        served_of(outputs).recommendation_id
        == lists_of(outputs)[0]["recommendation_id"]
        != fallback["recommendation_id"]
    )


def test_the_propensities_of_a_list_go_with_it(joined: Operator) -> None:
    joined.event(number=1, item_id="i1")
    joined.batcher.run_once()
    (answer,) = joined.batcher.drain()
    answer.result.facts.propensities = np.array([1, 0.5, 0.25], dtype="<f4").tobytes()
    (output,) = FEEDBACK.of_lists([(answer.result, answer.request)])
    (entry,) = entries([output])
    assert isinstance(entry, ServedEntry) and read_served(entry.record).propensities.tolist() == [1, 0.5, 0.25]


def test_the_arm_of_a_list_goes_with_it(joined: Operator) -> None:
    joined.event(number=1, item_id="i1")
    joined.batcher.run_once()
    (answer,) = joined.batcher.drain()
    answer.result.experiments = (Experiment("e", "a"), Experiment("f", "b"))
    (output,) = FEEDBACK.of_lists([(answer.result, answer.request)])
    (entry,) = entries([output])
    assert isinstance(entry, ServedEntry) and read_served(entry.record).experiments == answer.result.experiments


def test_events_that_the_join_needs_are_told_once(joined: Operator) -> None:
    shown = {"event_type": "impression", "items": ["i1", "i2"], "recommendation_id": "r1"}
    outputs = joined.event(number=1, **shown)
    (entry,) = told(outputs)
    assert isinstance(entry, EventEntry) and entry.event.items == ["i1", "i2"]
    assert (entry.partition, entry.broker_ms, entry.event.event_time) == (1, joined.broker_ms, NOW_MS)
    assert {output.key for output in outputs if output.kind == "feedback"} == {b"u1"}
    assert told(joined.event(number=1, **shown)) == [], "a duplicate"
    assert told(joined.event(number=2, event_type="view", item_id="i1")) == []
    for number, kind in enumerate(("click", "add_to_cart", "purchase"), start=3):
        (entry,) = told(joined.event(number=number, event_type=kind, item_id="i1"))
        assert isinstance(entry, EventEntry) and entry.event.event_type == kind


@pytest.mark.parametrize("huge", [{"position": 10**30}, {"position": "9" * 23}, {"context": {"a": 10**25}}])
def test_an_integer_that_the_join_cannot_be_told_costs_the_event_nothing(joined: Operator, huge: dict) -> None:
    outputs = joined.event(number=1, event_type="click", item_id="i1", recommendation_id="r1", **huge)
    (entry,) = told(outputs)
    assert isinstance(entry, EventEntry) and entry.event.recommendation_id == "r1"
    assert joined.sensors.records == ["applied"] and joined.sensors.own_errors == []
    consent = {"personalisation": "denied"} | {"a": 10**25}
    (entry,) = told(joined.event(number=2, event_type="consent", context=consent))
    assert isinstance(entry, EventEntry) and entry.event.context == {"personalisation": "denied"}


def test_a_shopper_who_refused_consent_gives_only_the_refusal(joined: Operator) -> None:
    (entry,) = told(joined.event(number=1, event_type="consent", context={"personalisation": "denied"}))
    assert isinstance(entry, EventEntry)
    outputs = joined.event(number=2, event_type="click", item_id="i1")
    joined.batcher.run_once()
    outputs += joined.turns()
    assert lists_of(outputs) and told(outputs) == [], "the list is popular for all; no example may name the shopper"
    assert told(joined.event(number=3, event_type="consent", context={"personalisation": "granted"}))
    assert told(joined.event(number=4, event_type="click", item_id="i1"))


def test_an_erasure_is_told_with_the_epoch_of_the_lists_after_it(joined: Operator) -> None:
    joined.event(number=1, item_id="i1")
    joined.broker_ms += 5000
    (entry,) = told(joined.read("u1", b'{"user_id":"u1"}', ERASURES))
    assert entry == ForgottenEntry(joined.broker_ms, order_of(joined.state["u1"])[0])
    assert told(joined.read("u1", b'{"user_id":"u1"}', ERASURES)) == [], "the same one again"


def test_the_last_output_of_a_batch_says_how_far_each_partition_was_read(joined: Operator) -> None:
    body = json.dumps(good_event(event_id="e1", user_id="u1", event_type="click", item_id="i1")).encode()
    records = [
        InputRecord("u1", body, EVENTS, 1, 1, NOW_MS + 5, True),
        InputRecord("u1", b"{", EVENTS, 2, 1, NOW_MS + 9, True),
        InputRecord("\udcff", b"{", EVENTS, 1, 2, NOW_MS + 7, True),
        InputRecord("u9", b'{"user_id":"u9"}', ERASURES, 0, 1, NOW_MS + 99, True),
    ]
    outputs = joined.turns(*(Turn(record.user, None, record) for record in records))
    last = outputs[-1]
    assert (last.kind, last.key) == ("feedback", b"\xff"), "the key of a record that this subtask read"
    assert last.value and decode_entry(last.value) == ClocksEntry({1: NOW_MS + 7, 2: NOW_MS + 9})
    assert entries(joined.turns()) == [], "an idle operator says nothing"


def test_without_a_join_nothing_is_told_and_lists_carry_nothing_for_it(tmp_path: Path) -> None:
    operator = Operator(write_bundle(tmp_path))
    outputs = operator.event(number=1, event_type="click", item_id="i1")
    operator.batcher.run_once()
    (answer,) = operator.batcher.drain()
    assert answer.result.facts is None
    assert entries(outputs) == []


def test_a_list_of_a_scorer_service_without_facts_is_left_out(joined: Operator) -> None:
    joined.event(number=1, item_id="i1")
    joined.batcher.run_once()
    (answer,) = joined.batcher.drain()
    bare = msgspec.structs.replace(answer.result, facts=None)
    assert list(FEEDBACK.of_lists([(bare, answer.request)])) == []


def test_an_error_at_the_join_loses_no_list(joined: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(FEEDBACK, "of_lists", fails)
    joined.event(number=1, item_id="i1")
    joined.batcher.run_once()
    assert len(lists_of(joined.turns())) == 1
    assert joined.sensors.own_errors == ["feedback"]


def test_the_arms_that_run_are_told_when_they_change(tmp_path: Path) -> None:
    running: list[tuple[ExperimentPlan, ...]] = [()]
    joined = Operator(write_bundle(tmp_path), feedback=FeedbackOutputs(lambda: Model("known", "1"), lambda: running[0]))

    def arms(number: int) -> list[ArmsEntry]:
        outputs = joined.event(number=number, item_id="i1")
        return [entry for entry in entries(outputs) if isinstance(entry, ArmsEntry)]

    assert arms(1) == []
    running[0] = (plan_of_shares("e", {"a": 0.5, "b": 0.5}),)
    assert arms(2) == [ArmsEntry([("e", "a"), ("e", "b")])] and arms(3) == []
    running[0] = ()
    assert arms(4) == [ArmsEntry([])]
