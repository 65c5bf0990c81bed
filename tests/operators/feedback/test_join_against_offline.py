"""The join against an offline join of the same events: any order, duplicates, clocks, restarts, outages, windows.

The engine is a model of Flink's promise: state and timers come back from the checkpoint, records of an outage are read
after it, and a timer of the past fires first.
"""

from typing import Any

import hypothesis.strategies as st
from hypothesis import given
from hypothesis import settings as profile

from operators.feedback.feedback_settings import Windows
from operators.feedback.final_examples import final_examples
from operators.feedback.join_state import JoinState
from operators.records.contracts import Event
from tests.builders import NOW_MS
from tests.operators.feedback.example_comparison import compare, keys_of
from tests.operators.feedback.offline_join import Record, offline_join
from tests.operators.feedback.shopper import LAG_MS, PARTITION, Shopper, served

WINDOWS = Windows(1_000, 5_000, 20_000)
LISTS, ITEMS = ("r1", "r2", "r3"), ("i1", "i2", "i3", "i4", "i5")
PAUSES = st.sampled_from((0, 1, 7, 400, 999, 1000, 1001, 1800, 4999, 5000, 5001, 6500))
OFF = st.sampled_from((0, 0, 0, -300, -1100, -86_400_000))  # of an event time: no event is later than its record
ITEM, LIST = st.sampled_from(ITEMS), st.sampled_from(LISTS)
STEPS = st.one_of(
    st.tuples(st.just("serve"), LIST),
    st.tuples(st.just("impression"), LIST, st.lists(ITEM, min_size=1, max_size=4, unique=True), OFF),
    st.tuples(st.just("outcome"), st.sampled_from(("click", "add_to_cart", "purchase")), LIST, ITEM, OFF),
    st.tuples(st.just("basket"), LIST, st.lists(ITEM, min_size=1, max_size=3, unique=True), OFF),
    st.tuples(st.just("organic"), ITEM),
    st.tuples(st.just("return"), LIST, ITEM),
    st.tuples(st.just("again"), st.integers(1, 6)),
    st.tuples(st.just("other user")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("goes down")),
    st.tuples(st.just("comes up")),
)
SCHEDULES = st.lists(st.tuples(PAUSES, STEPS), min_size=1, max_size=40)


class Engine:
    """Carries one shopper's records to the join; while it is down they wait on the topic."""

    def __init__(self) -> None:
        self.shopper = Shopper(WINDOWS)
        self.log: list[Record] = []
        self.topic: list[Record] | None = None  # while the process is down
        self.now = 0

    def run(self, schedule: list[tuple[int, Any]]) -> None:
        for pause, (name, *arguments) in schedule:
            self.now += pause + LAG_MS + 1
            if self.topic is None:
                self.shopper.at(self.now)
            getattr(self, f"_{name.replace(' ', '_')}")(*arguments)
        self.now += 1
        self._comes_up()
        self.shopper.waits_out()

    def _stores(self, kind: str, off: int = 0, **fields: Any) -> None:
        event_id = f"e{len(self.log)}"
        event = Event(event_id=event_id, event_type=kind, event_time=NOW_MS + self.now + off, user_id="u1", **fields)
        self._reads((event, NOW_MS + self.now))

    def _reads(self, record: Record) -> None:
        self.log.append(record)
        if self.topic is None:
            self.shopper.reads(*record)
        else:
            self.topic.append(record)

    def _serve(self, name: str) -> None:
        if self.topic is None:
            self.shopper.gets(served(name, *ITEMS[:4], at=self.shopper.now))

    def _impression(self, name: str, items: list[str], off: int) -> None:
        self._stores("impression", off, recommendation_id=name, items=items)

    def _outcome(self, kind: str, name: str, item: str, off: int) -> None:
        self._stores(kind, off, recommendation_id=name, item_id=item)

    def _basket(self, name: str, items: list[str], off: int) -> None:
        self._stores("purchase", off, recommendation_id=name, items=items)

    def _organic(self, item: str) -> None:
        self._stores("click", item_id=item)

    def _return(self, name: str, item: str) -> None:
        self._stores("purchase", recommendation_id=name, item_id=item, quantity=-1)

    def _again(self, back: int) -> None:
        """A client sends an event of a list again."""
        old = [event for event, _ in self.log if event.recommendation_id]
        if old:
            self._reads((old[-min(back, len(old))], NOW_MS + self.now))

    def _other_user(self) -> None:
        if self.topic is None:
            now_ms = NOW_MS + self.shopper.now
            self.shopper.join._clocks.read(PARTITION, NOW_MS + self.now, now_ms)

    def _restart(self) -> None:
        if self.topic is None:
            self.shopper.restart()

    def _goes_down(self) -> None:
        self.topic = [] if self.topic is None else self.topic

    def _comes_up(self) -> None:
        if self.topic is not None:
            self.shopper.restart(away=max(0, self.now - self.shopper.now))
            for record in self.topic:
                self.shopper.reads(*record)
            self.topic = None
            self.now = self.shopper.now


@given(SCHEDULES)
@profile(max_examples=600, deadline=None)
def test_the_final_labels_are_those_of_an_offline_join(schedule: list[tuple[int, Any]]) -> None:
    engine = Engine()
    engine.run(schedule)
    expected = offline_join(engine.log, WINDOWS)
    examples = engine.shopper.examples
    found = compare(examples, expected, keys_of(expected, "u1"), read_to_end=True)
    assert found.verdict == "ok", found
    assert len(final_examples(examples)) == len(expected), "one example for each item of each list"


@given(SCHEDULES)
@profile(max_examples=100, deadline=None)
def test_in_the_end_nothing_waits(schedule: list[tuple[int, Any]]) -> None:
    engine = Engine()
    engine.run(schedule)
    assert JoinState.read(engine.shopper.state).lists == []
    assert engine.shopper.timers == set()


@given(SCHEDULES, st.sampled_from(("refusal", "erasure")))
@profile(max_examples=200, deadline=None)
def test_after_a_refusal_or_an_erasure_nothing_goes_out_that_waited(schedule: list[tuple[int, Any]], how: str) -> None:
    engine = Engine()
    engine.run([(pause, step) for pause, step in schedule if step[0] not in ("goes down", "comes up")][:20])
    shopper = engine.shopper
    for name in LISTS:
        shopper.sees("i1", name=f"{name} later")
    before = len(shopper.values)
    if how == "refusal":
        shopper.does("consent", context={"personalisation": "denied"})
        engine.now = shopper.now
        engine.run(schedule)
    else:
        shopper.forgotten()
    assert shopper.waits_out().values[before:] == []
