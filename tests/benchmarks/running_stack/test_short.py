"""The short form: what a round's marks say, and the medians of its ratios."""

import pytest

from benchmarks.measuring.load import Load
from benchmarks.running_stack.short import (
    KINDS,
    UNMEASURED,
    Kind,
    Reading,
    figures_between,
    load_of,
    medians,
    ratios_of,
)
from benchmarks.running_stack.state import STRIDE


def test_rates_and_cpu_lie_between_two_marks() -> None:
    since = Reading(10.0, 1_000, 500, {"taskmanager-0": 1.0, "kafka": 5.0})
    until = Reading(12.0, 9_000, 4_500, {"taskmanager-0": 2.0, "kafka": 9.0})
    assert figures_between(since, until) == {
        "events_per_s": 4_000,
        "lists_per_s": 2_000,
        "taskmanager_cpu_s_per_1000": 0.25,
    }


def test_ratios_are_better_when_higher() -> None:
    row = {"events_per_s": 4_000, "lists_per_s": 2_000, "taskmanager_cpu_s_per_1000": 0.25}
    figures = {kind.name: row for kind in KINDS if kind.name not in UNMEASURED}
    assert [*ratios_of(figures, 8_000).values()] == [0.25, 0.5, 2.0, 1.0]
    slower = figures | {"many shoppers": row | {"lists_per_s": 1_000}}
    assert [*ratios_of(slower, 8_000).values()][-1] == 0.5


def test_each_ratio_has_a_median_of_its_own() -> None:
    assert medians([{"a": 1.0, "b": 9.0}, {"a": 3.0, "b": 7.0}, {"a": 2.0, "b": 8.0}]) == {"a": 2.0, "b": 8.0}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_shoppers_take_turns_and_no_event_comes_twice(kind: Kind) -> None:
    load = Load(client={}, items=["i"], count=0, rate=0, users=kind.shoppers, tag="t", each_user_once=True)
    before = {("t", number) for number in range(kind.events_before * kind.shoppers)}
    for number in range(3):
        load_of_round = load_of(kind, load, number)
        ids = {(load_of_round.tag, load_of_round.first + event) for event in range(load_of_round.count)}
        assert not ids & before
        before |= ids
    turns = {event * STRIDE % kind.shoppers for event in range(kind.shoppers)}
    assert len(turns) == kind.shoppers
