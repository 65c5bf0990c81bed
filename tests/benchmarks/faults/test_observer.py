import math

from benchmarks.faults.observer import ReaderView


def view_of(*arrivals: tuple[float, float]) -> ReaderView:
    view = ReaderView(b"t")
    for arrival, freshness in sorted(arrivals):
        view.arrivals.append(arrival)
        view.freshness.append(freshness)
    return view


def steady(start: int, end: int, freshness: float) -> list[tuple[float, float]]:
    return [(start + n / 10, freshness) for n in range((end - start) * 10)]


def test_silence_is_the_longest_gap_also_at_the_ends() -> None:
    view = view_of((1, 0), (2, 0), (7, 0), (8, 0))
    assert view.silence(0, 9) == 5
    assert view.silence(0, 20) == 12


def test_a_second_without_lists_is_not_fresh() -> None:
    assert math.isinf(view_of((1.5, 0.01)).percentile(0.95, 3, 4))


def test_fresh_again_is_after_the_last_bad_second() -> None:
    view = view_of(*steady(0, 5, 0.02), *steady(9, 12, 3.0), *steady(12, 20, 0.02))
    fresh_at = view.fresh_again(5, 20, 0.25)
    assert fresh_at is not None
    assert 11.9 <= fresh_at <= 13.1


def test_what_is_late_to_the_end_is_never_fresh_again_and_what_was_never_late_is_at_once() -> None:
    assert view_of(*steady(0, 5, 0.02), *steady(5, 20, 3.0)).fresh_again(5, 20, 0.25) is None
    assert view_of(*steady(0, 20, 0.02)).fresh_again(5, 20, 0.25) == 5


def test_one_slow_list_in_a_hundred_is_not_a_bad_second() -> None:
    fast = [(n / 100, 0.01) for n in range(2000)]
    fast[1550] = (15.5, 9.0)
    assert view_of(*fast).fresh_again(5, 19.5, 0.25) == 5
