"""What the demo says of freshness: nothing where too few lists came."""

import math

from pipelines.demo.demo_run import Figures


def test_without_lists_there_is_no_freshness_and_the_check_fails() -> None:
    figures = Figures()
    assert all(math.isnan(figures.freshness_ms(p)) for p in (50, 95, 99))
    assert not figures.freshness_ms(99) < 2000
    assert ("freshness p50 / p95 / p99", "- / - / - ms") in figures.rows(0)


def test_a_percentile_needs_as_many_lists_as_it_divides_by() -> None:
    figures = Figures()
    for _ in range(99):
        figures.freshness_us.record_value(5_000)
    assert ("freshness p50 / p95 / p99", "5 / 5 / - ms") in figures.rows(0)
    figures.freshness_us.record_value(5_000)
    assert 4 < figures.freshness_ms(99) < 6
