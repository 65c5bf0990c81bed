"""Windows: the smaller distance counts, idle partitions do not hold examples back, and outages do not close windows."""

import pytest

from operators.feedback.feedback_join import QUIET_MS
from operators.feedback.partition_clocks import START_GRACE_MS
from operators.records.contracts import Event
from tests.builders import NOW_MS
from tests.operators.feedback.shopper import HOUR, MINUTE, PARTITION, Shopper, served

DAY = 24 * HOUR


def noise(shopper: Shopper, partition: int = PARTITION) -> Shopper:
    """A record of another user that the same process reads."""
    shopper.join._clocks.read(partition, NOW_MS + shopper.now, NOW_MS + shopper.now)
    return shopper


@pytest.mark.parametrize("off", [-DAY, -HOUR])
def test_a_clock_that_is_off_for_the_impression_alone_loses_nothing(off: int) -> None:
    shopper = Shopper().gets(served()).sees("i1", since=off).after(MINUTE).does("click", "i1", recommendation_id="r1")
    assert shopper.waits_out().labels() == {"i1": "click"}


@pytest.mark.parametrize("off", [-DAY, -HOUR])
def test_a_clock_that_is_off_for_the_click_alone_loses_nothing(off: int) -> None:
    shopper = Shopper().gets(served()).sees("i1").after(MINUTE).does("click", "i1", recommendation_id="r1", since=off)
    assert shopper.waits_out().labels() == {"i1": "click"}


def test_a_click_of_a_phone_that_was_offline_corrects() -> None:
    shopper = Shopper().gets(served()).sees("i1").at(8 * HOUR)
    shopper.does("click", "i1", recommendation_id="r1", since=-8 * HOUR + MINUTE)
    assert [e.label for e in shopper.examples] == ["none", "click"]


def test_nothing_waits_longer_than_the_purchase_window_by_the_brokers_time() -> None:
    shopper = Shopper().gets(served()).sees("i1").at(25 * HOUR)
    shopper.does("click", "i1", recommendation_id="r1", since=-25 * HOUR + MINUTE)
    assert shopper.waits_out().labels() == {"i1": "none"}


def test_nor_where_other_items_of_the_list_were_shown_later() -> None:
    shopper = Shopper().gets(served()).sees("i1").at(20 * HOUR).sees("i2").at(25 * HOUR)
    shopper.does("click", "i1", recommendation_id="r1", since=-25 * HOUR + MINUTE)
    assert shopper.waits_out().labels() == {"i1": "none", "i2": "none"}


def test_an_idle_partition_closes_by_the_wall_clock() -> None:
    assert len(Shopper().gets(served()).sees("i1").at(30 * MINUTE + 10).values) == 1


def test_so_it_does_where_the_shopper_goes_on() -> None:
    shopper = Shopper().gets(served()).sees("i1").at(29 * MINUTE).does("view", "i5")
    assert len(shopper.at(30 * MINUTE + 10).values) == 1


def test_records_of_other_partitions_close_no_window() -> None:
    shopper = Shopper().gets(served()).sees("i1").after(MINUTE)
    shopper.join._clocks.read(PARTITION + 1, NOW_MS + DAY, NOW_MS + shopper.now)
    assert shopper.does("view", "i1").values == []


def test_a_busy_partition_closes_by_the_brokers_time() -> None:
    shopper = Shopper().gets(served()).sees("i1")
    for minute in range(1, 33):
        noise(shopper.at(minute * MINUTE))
        assert (len(shopper.values) == 1) == (minute > 30)


def test_a_later_record_of_the_user_closes_the_window_before_it_is_applied() -> None:
    shopper = Shopper().gets(served()).sees("i1")
    shopper.timers.clear()  # as if the timer's thread were late
    shopper.at(31 * MINUTE).does("purchase", "i1", recommendation_id="r1")
    assert [(e.label, e.revision) for e in shopper.examples] == [("none", 0), ("purchase", 1)]


def test_a_restart_keeps_what_waits() -> None:
    shopper = Shopper().gets(served()).sees("i1", "i2").restart().after(MINUTE)
    shopper.does("click", "i2", recommendation_id="r1").restart().waits_out()
    assert shopper.labels() == {"i1": "none", "i2": "click"}
    assert len(shopper.values) == 2


def test_an_outage_longer_than_the_windows_closes_none_before_its_records_are_read() -> None:
    shopper = Shopper().gets(served()).sees("i1").restart(away=3 * DAY)
    assert shopper.values == []
    bought = Event(
        event_id="p",
        event_type="purchase",
        event_time=NOW_MS + HOUR,
        user_id="u1",
        item_id="i1",
        recommendation_id="r1",
    )
    shopper.reads(bought, NOW_MS + HOUR)
    assert shopper.waits_out().labels() == {"i1": "purchase"}
    assert [e.revision for e in shopper.examples] == [0, 1]


def test_a_process_that_reads_no_record_writes_after_a_silence_and_waits_on() -> None:
    shopper = Shopper().gets(served()).sees("i1").restart(away=DAY)
    assert shopper.after(START_GRACE_MS).values == []
    assert len(shopper.after(QUIET_MS + 1).values) == 1
    shopper.after(20 * HOUR).does("purchase", "i1", recommendation_id="r1")  # by the broker's time 44 hours later
    assert shopper.labels() == {"i1": "none"}
    bought = Event(
        event_id="p",
        event_type="purchase",
        event_time=NOW_MS + HOUR,
        user_id="u1",
        item_id="i1",
        recommendation_id="r1",
    )
    shopper = Shopper().gets(served()).sees("i1").restart(away=DAY).after(20 * HOUR).reads(bought, NOW_MS + HOUR)
    assert shopper.labels() == {"i1": "purchase"}


def test_a_user_without_waiting_lists_has_no_timer_and_keeps_little() -> None:
    shopper = Shopper().gets(served()).sees("i1").waits_out().at(25 * HOUR).sees("i1", name=None)
    assert len(shopper.state or b"") < 40 and not shopper.timers


def test_another_timer_than_the_one_that_the_state_knows_of_changes_nothing() -> None:
    shopper = Shopper().gets(served()).sees("i1")
    assert len(shopper.timers) == 1
    joined = shopper.join.on_timer("u1", shopper.state, NOW_MS + 1000)
    assert (joined.state, joined.wake_ms, joined.examples) == (shopper.state, None, [])


def test_timers_do_not_pile_up() -> None:
    shopper = Shopper()
    for number in range(100):
        shopper.gets(served(f"r{number}", at=shopper.now)).sees("i1", name=f"r{number}").after(1000)
        assert len(shopper.timers) <= 2
