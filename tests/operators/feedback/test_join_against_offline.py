"""The join against an offline join of the same events: any order, duplicates, clocks, restarts, outages, windows.

The engine is a model of Flink's promise: state and timers come back from the checkpoint, records of an outage are read
after it, and a timer of the past fires first.
"""

import random
from collections import Counter
from typing import Any

import hypothesis.strategies as st
from hypothesis import given
from hypothesis import settings as profile

from operators.feedback.example_comparison import Comparison, compare, keys_of
from operators.feedback.final_examples import final_examples
from operators.feedback.join_limits import Windows
from operators.feedback.join_records import COUNTED
from operators.feedback.join_state import JoinState
from operators.records.contracts import Event
from tests.builders import NOW_MS
from tests.operators.feedback.offline_join import Record, offline_join, shown_keys
from tests.operators.feedback.shopper import LAG_MS, PARTITION, Shopper, served

WINDOWS = Windows(1_000, 5_000, 20_000)
LISTS, ITEMS = ("r1", "r2", "r3", "r4", "r5", "r6"), ("i1", "i2", "i3")
PAUSES = (0, 1, 7, 200, 400, 999, 1000, 1001, 1800, 3000, 4980, 4999, 5000, 5001, 6500)
OFF = (0, 0, 0, -300, -1100, -1800, -86_400_000)  # of an event time: no event is later than its record
STEPS = {  # and how often
    "serve": 2, "impression": 6, "outcome": 12, "basket": 2, "organic": 1, "return": 1, "again": 3, "other user": 2,
    "restart": 1, "goes down": 1, "comes up": 2,
}  # fmt: skip
Schedule = list[tuple[int, str, list[Any]]]


def schedule_of(seed: int) -> Schedule:
    """A pause, a step and its arguments, many times. Some schedules have long pauses, some hardly any."""
    draw = random.Random(seed)
    pauses = PAUSES[: draw.choice((3, 6, 10, len(PAUSES)))]
    lists, items = LISTS[: draw.choice((1, 2, 6))], ITEMS[: draw.choice((1, 3))]
    clocks = draw.choice(((0,), OFF))

    def some() -> list[str]:
        return draw.sample(items, draw.randint(1, len(items)))

    def arguments(step: str) -> list[Any]:
        name, item, off = draw.choice(lists), draw.choice(items), draw.choice(clocks)
        of_step: dict[str, list[Any]] = {
            "serve": [name],
            "impression": [name, some(), off],
            "outcome": [draw.choice(("click", "click", "add_to_cart", "purchase")), name, item, off],
            "basket": [name, some(), off],
            "organic": [item],
            "return": [name, item],
            "again": [draw.randint(1, 6)],
        }
        return of_step.get(step, [])

    steps = draw.choices([*STEPS], [*STEPS.values()], k=draw.randint(2, 30))
    return [(draw.choice(pauses), step, arguments(step)) for step in steps]


SEEDS = st.integers(0, 2**32)


class Engine:
    """Carries one shopper's records to the join; while it is down they wait on the topic."""

    def __init__(self) -> None:
        self.shopper = Shopper(WINDOWS)
        self.log: list[Record] = []
        self.topic: list[Record] | None = None  # while the process is down
        self.now = 0

    def run(self, schedule: Schedule, *, to_the_end: bool = True) -> None:
        for pause, name, arguments in schedule:
            self.now += pause + LAG_MS + 1
            if self.topic is None:
                self.shopper.at(self.now)
            getattr(self, f"_{name.replace(' ', '_')}")(*arguments)
        self.now += 1
        self._comes_up()
        if to_the_end:
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


def run(schedule: Schedule) -> tuple[Engine, Comparison]:
    engine = Engine()
    engine.run(schedule)
    expected = offline_join(engine.log, WINDOWS)
    examples = engine.shopper.examples
    final = final_examples(examples).values()
    shown = {(e.recommendation_id or "", e.item_id) for e in final if e.shown_at is not None and not e.organic}
    assert shown == shown_keys(engine.log, WINDOWS)
    return engine, compare(examples, expected, keys_of(expected, "u1"), read_to_end=True)


@given(SEEDS)
@profile(max_examples=1500, deadline=None)
def test_the_final_labels_are_those_of_an_offline_join(seed: int) -> None:
    schedule = schedule_of(seed)
    engine, found = run(schedule)
    assert found.verdict == "ok", (found, schedule)
    assert not any(packed.open_ms for packed in JoinState.read(engine.shopper.state).lists), "no example is due"


def test_the_schedules_reach_every_rule() -> None:
    counts = Counter[str]()
    for seed in range(300):
        counts += run(schedule_of(seed))[0].shopper.counts
    given_apart = {"evicted_list", "forgotten_list", "refused_consent", "erased", "impression_without_list"}
    given_apart |= {"too_many_impressions", "too_many_items", "item_not_on_list", "unseen_list"}
    assert set(COUNTED) - given_apart == set(counts) - {"unseen_list"}
    assert min(count for reason, count in counts.items() if reason not in given_apart) >= 10


@given(SEEDS, SEEDS, st.booleans())
@profile(max_examples=200, deadline=None)
def test_after_a_refusal_or_an_erasure_nothing_goes_out_that_waited(first: int, then: int, erased: bool) -> None:
    engine = Engine()
    engine.run([step for step in schedule_of(first) if step[1] not in ("goes down", "comes up")], to_the_end=False)
    shopper = engine.shopper
    shopper.sees("i1", name="waits")
    before = len(shopper.values)
    if erased:
        shopper.forgotten()
    else:
        shopper.does("consent", context={"personalisation": "denied"})
        engine.now = shopper.now
        engine.run(schedule_of(then))
    assert shopper.waits_out().values[before:] == []
