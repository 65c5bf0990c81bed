from operators.feedback.partition_clocks import AHEAD_MS, LOOK_AGAIN_MS, START_GRACE_MS, PartitionClocks


def test_a_window_closes_when_the_brokers_time_has_passed_its_end() -> None:
    clocks = PartitionClocks(0)
    clocks.read(1, 5_000, 6_000)
    assert clocks.closed_until(1, 1_000, 6_000) <= 5_000
    assert clocks.closed_until(1, 1_000, 6_000) > 4_999
    clocks.read(1, 4_000, 6_000)
    assert clocks.closed_until(1, 1_000, 6_000) > 4_999, "time does not go back"


def test_partitions_have_their_own_time() -> None:
    clocks = PartitionClocks(0)
    clocks.read(1, 9_000, 100)
    assert clocks.closed_until(2, 1_000, 100) <= 2_000


def test_on_an_idle_partition_the_wall_clock_decides_after_a_silence() -> None:
    clocks = PartitionClocks(0)
    clocks.read(1, 5_000, 6_000)
    assert clocks.closed_until(1, 1_000, 7_000) <= 5_500
    assert clocks.closed_until(1, 1_000, 7_001) > 5_500
    assert clocks.closed_until(1, 1_000, 7_001) <= 7_001, "the window is still open"
    clocks.read(1, 5_500, 7_001)
    assert clocks.closed_until(1, 1_000, 7_001) <= 5_500


def test_after_a_start_the_silence_begins_when_the_sources_read() -> None:
    clocks = PartitionClocks(1_000)
    assert clocks.closed_until(1, 50, 1_050) <= 0
    assert clocks.closed_until(1, 50, 1_051 + START_GRACE_MS) > 0


def test_the_next_look_is_when_the_answer_may_have_changed() -> None:
    clocks = PartitionClocks(0)
    assert clocks.look_ms(1, 0, 500, 100) == START_GRACE_MS + 501
    assert clocks.look_ms(1, 90_000, 500, 100) == 90_001
    clocks.read(1, 5_000, 6_000)
    assert clocks.look_ms(1, 5_500, 500, 6_000) == 6_501
    clocks.read(1, 5_400, 6_400)
    assert clocks.look_ms(1, 8_000, 9_000, 6_400) == 6_400 + 2_600 + LOOK_AGAIN_MS
    assert clocks.look_ms(1, 5_500, 500, 9_000) > 9_000


def test_a_brokers_clock_that_ran_ahead_once_closes_no_later_window() -> None:
    clocks = PartitionClocks(0)
    clocks.read(0, 10**12, now_ms=1000)
    assert clocks.closed_until(0, 5000, 1000) == 1000 + AHEAD_MS
