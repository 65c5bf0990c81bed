from operators.kafka_io.compacted_table import LONGEST_PAUSE_S, SHORTEST_PAUSE_S, pause_after


def test_a_single_record_waits_the_shortest_pause_and_many_a_longer_one() -> None:
    assert pause_after(1) == pause_after(8) == SHORTEST_PAUSE_S
    assert pause_after(16) == 0.008
    assert pause_after(40) == pause_after(999) == LONGEST_PAUSE_S


def test_a_backlog_waits_for_nothing() -> None:
    assert pause_after(5000) == 0


def test_below_two_thousand_records_a_second_the_pause_stays_short_and_above_it_grows() -> None:
    def settled(rate: float) -> float:
        pause = SHORTEST_PAUSE_S
        for _ in range(100):
            pause = pause_after(round(rate * (pause + 0.001)))
        return pause

    assert [settled(rate) for rate in (100, 500, 1000)] == [SHORTEST_PAUSE_S] * 3
    assert [settled(rate) for rate in (3000, 9000, 20_000)] == [LONGEST_PAUSE_S] * 3
