"""When an item's record goes out, and what it says."""

import msgspec
import pytest

from operators.demand.demand_logic import RETRY_MS, SHOWN_EVERY, DemandActions, DemandEntry, DemandLogic, DemandTurn
from operators.demand.item_counts import HalfLives
from operators.records.item_demand import ItemDemand
from operators.time_units import HOUR_MS

NOW_MS = 1_700_000_000_000 // HOUR_MS * HOUR_MS
HALF = HalfLives(24 * HOUR_MS, 5 * 60_000)


class Sensors:
    def __init__(self) -> None:
        self.errors: list[str] = []
        self.batches: list[tuple[int, int]] = []

    def on_batch(self, entries: int, records: int) -> None:
        self.batches.append((entries, records))

    def on_own_error(self, where: str) -> None:
        self.errors.append(where)


class Engine:
    """DemandLogic with the states and timers that Flink would keep."""

    def __init__(self) -> None:
        self.sensors, self.now_ms = Sensors(), NOW_MS
        self.logic = DemandLogic(HALF, 2000, self.sensors, lambda: 0.0)
        self.states: dict[str, bytes] = {}
        self.timers: list[tuple[int, str]] = []  # a new one replaces none

    def turn(self, *turns: tuple[str, DemandEntry | None]) -> DemandActions:
        actions = self.logic.on_batch(
            [DemandTurn(item, self.states.get(item), entry) for item, entry in turns], self.now_ms
        )
        self.states |= actions.states
        self.timers += [(self.now_ms + delay, item) for item, delay in actions.timers.items()]
        return actions

    def asked(self, item: str = "i1", at: int | None = None, views: float = 1.0) -> list[ItemDemand]:
        moment = self.now_ms if at is None else at
        return records(self.turn((item, DemandEntry([(moment, views, 0.0, 0.0, 0.0, views, views)]))))

    def wait(self, ms: int) -> list[ItemDemand]:
        """The records of the timers that fire meanwhile."""
        until, emitted = self.now_ms + ms, list[ItemDemand]()
        for at, item in sorted(timer for timer in self.timers if timer[0] <= until):
            self.timers.remove((at, item))
            self.now_ms = max(at, self.now_ms)
            emitted += records(self.turn((item, None)))
        self.now_ms = until
        return emitted


def records(actions: DemandActions) -> list[ItemDemand]:
    return [msgspec.json.decode(record, type=ItemDemand) for _, record in actions.records]


def test_the_first_event_is_told_at_once_and_further_ones_every_two_seconds() -> None:
    engine = Engine()
    assert [record.views for record in engine.asked()] == [1.0]
    for _ in range(50):
        engine.now_ms += 10
        assert engine.asked() == []
    (record,) = engine.wait(2000)
    assert record.views == pytest.approx(51, abs=1e-3) and record.hour.views == 51.0
    assert engine.wait(10_000) == [], "nothing changes, nothing is told"
    assert [record.hour.views for record in engine.asked()] == [52.0], "at once again"


def test_the_last_record_of_an_hour_holds_the_whole_hour() -> None:
    engine = Engine()
    engine.now_ms = NOW_MS + HOUR_MS - 1000
    engine.asked()
    engine.now_ms += 900
    engine.asked()
    engine.now_ms += 200  # the next hour; the timer of the second event has not fired
    closing, *_ = engine.asked()
    assert (closing.hour.began_at, closing.hour.views) == (NOW_MS, 2.0)
    (record,) = engine.wait(2000)
    assert (record.hour.began_at, record.hour.views, record.previous_hour.views) == (NOW_MS + HOUR_MS, 1.0, 2.0)


def test_a_surge_trends() -> None:
    engine = Engine()
    for hour in range(48):
        engine.asked(at=NOW_MS - (48 - hour) * HOUR_MS)
    engine.now_ms += 3000
    (usual,) = engine.asked()
    engine.now_ms += 3000
    (surge,) = engine.asked(views=40)
    assert usual.trend < 2.5 and surge.trend > 20


def test_a_restarted_process_goes_on_and_its_timers_too() -> None:
    engine = Engine()
    engine.asked()
    engine.asked()
    again = Engine()
    again.states, again.timers, again.now_ms = engine.states, engine.timers, engine.now_ms
    assert [record.hour.views for record in again.wait(2000)] == [2.0]


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    engine = Engine()
    engine.asked()
    engine.asked()
    engine.now_ms -= 24 * HOUR_MS
    (record,) = engine.asked()
    assert record.counted_at <= engine.now_ms + 60_000 and record.hour.began_at == NOW_MS - 24 * HOUR_MS
    assert (record.hour.views, record.views) == (1, pytest.approx(3, abs=0.01))


def test_an_error_of_our_own_is_counted_and_the_other_items_are_not_touched() -> None:
    engine = Engine()
    engine.states["broken"] = b"rubbish"
    entry = DemandEntry([(NOW_MS, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0)])
    actions = engine.turn(("broken", entry), ("broken", None), ("i1", entry))
    assert engine.sensors.errors == ["demand", "demand"] and [item for item, _ in actions.records] == ["i1"]
    assert actions.timers == {"broken": RETRY_MS} and "broken" not in actions.states
    assert engine.sensors.batches == [(2, 1)]


def test_an_entry_of_several_hours_tells_of_each() -> None:
    """As while the job catches up after an outage."""
    engine = Engine()
    hours = [NOW_MS - hours * HOUR_MS for hours in (1, 3, 2, 4)]
    told = records(engine.turn(("i1", DemandEntry([(at, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0) for at in hours]))))
    told += engine.wait(5000)
    assert [record.hour.began_at for record in told] == sorted(hours) and all(one.hour.views == 1 for one in told)


def test_a_brokers_clock_that_ran_ahead_moves_no_hour() -> None:
    engine = Engine()
    engine.asked(at=NOW_MS + 24 * HOUR_MS)
    engine.now_ms += 5000
    (record,) = engine.asked()
    assert record.hour.began_at == NOW_MS and record.recent > 1.8


def test_a_timer_that_is_not_needed_any_more_writes_nothing() -> None:
    engine = Engine()
    assert engine.turn(("i1", None)) == DemandActions()


def test_a_record_before_an_hour_ends_makes_none_come_early() -> None:
    engine = Engine()
    engine.now_ms = NOW_MS + HOUR_MS - 1500
    engine.asked()
    engine.now_ms += 1000
    engine.asked()  # a timer for the end of the two seconds, in the next hour
    engine.now_ms = NOW_MS + HOUR_MS + 100
    assert len(engine.asked()) == 1, "of the hour before"
    assert engine.wait(1900) == [] and len(engine.wait(200)) == 1


def test_impressions_alone_wait_longer_and_go_out_with_the_next_view() -> None:
    engine = Engine()
    shown = DemandEntry([(NOW_MS, *[0.0] * 6, 20.0, 0.0)])
    (first,) = records(engine.turn(("i1", shown)))
    assert (first.impressions, first.views) == (20, 0), "the first record of an item goes out at once"
    engine.turn(("i1", shown))
    assert engine.wait(2000 * (SHOWN_EVERY - 1)) == []
    assert [record.impressions for record in engine.wait(2000)] == [pytest.approx(40, abs=0.1)]
    engine.turn(("i1", shown))
    engine.asked()
    assert [(record.hour.views, round(record.impressions)) for record in engine.wait(2000)] == [(1, 60)]
    assert engine.wait(10 * 2000 * SHOWN_EVERY) == []


def test_a_return_is_told_and_takes_back_what_the_same_batch_counted() -> None:
    engine = Engine()
    bought = (NOW_MS, 0.0, 0.0, 1.0, 9.0, 1.0, 15.0, 0.0, 0.0)
    returned = (NOW_MS, NOW_MS, -1.0, -9.0, -1.0, -15.0)
    (record,) = records(engine.turn(("i1", DemandEntry([bought], [returned]))))
    assert (record.purchases, record.revenue, record.acts, record.interest, record.hour.purchases) == (0, 0, 0, 0, 0)
    engine.wait(10_000)
    (late,) = records(engine.turn(("i1", DemandEntry([], [(engine.now_ms, 0, -1.0, 0.0, 0.0, 0.0)]))))
    assert (late.purchases, late.hour.purchases) == (0, -1), "alone it tells of its hour at once"
