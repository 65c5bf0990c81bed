import pytest

from benchmarks.experiments.sample_ratio_runs import alarms

HALVES = {"a": 0.5, "b": 0.5}


def test_chi_square_alarms_as_often_as_it_says_at_one_look() -> None:
    result = alarms(HALVES, HALVES, alpha=0.05, users=5000, every=100, runs=1000, seed=1)
    assert 0.035 < result.chi_square < 0.065
    assert result.chi_square_watched > 0.2  # what watching it does


@pytest.mark.parametrize("shares", [HALVES, {"a": 0.9, "b": 0.1}, {"a": 0.2, "b": 0.3, "c": 0.5}])
def test_the_watched_test_alarms_more_rarely_than_it_says(shares: dict[str, float]) -> None:
    result = alarms(shares, shares, alpha=0.1, users=5000, every=20, runs=400, seed=2)
    assert 0 < result.always_valid_watched < 0.1


def test_both_find_users_that_were_lost() -> None:
    result = alarms(HALVES, {"a": 0.46, "b": 0.54}, alpha=0.001, users=10_000, every=100, runs=100, seed=3)
    assert result.chi_square == result.always_valid_watched == 1
