import pytest

from operators.experiments.statistics.sample_ratio import always_valid_p, chi_square_p, chi_square_tail

HALVES = {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize(
    ("statistic", "degrees", "p"),
    [(3.841459, 1, 0.05), (6.634897, 1, 0.01), (5.991465, 2, 0.05), (7.814728, 3, 0.05), (18.466827, 4, 0.001), (0, 5, 1), (20.515006, 5, 0.001)],
)  # fmt: skip
def test_the_tail_is_that_of_the_tables(statistic: float, degrees: int, p: float) -> None:
    assert chi_square_tail(statistic, degrees) == pytest.approx(p, rel=1e-5)


def test_a_user_in_an_arm_without_share_is_impossible() -> None:
    shares = {"a": 1.0, "paused": 0.0}
    assert chi_square_p({"a": 10, "paused": 1}, shares) == always_valid_p({"a": 10, "paused": 1}, shares) == 0
    assert chi_square_p({"a": 10, "paused": 0}, shares) == always_valid_p({"a": 10, "paused": 0}, shares) == 1


def test_without_users_nothing_is_wrong() -> None:
    assert chi_square_p({"a": 0, "b": 0}, HALVES) == always_valid_p({"a": 0, "b": 0}, HALVES) == 1
    assert always_valid_p({"a": 10_000_000, "b": 0}, HALVES) == 0
