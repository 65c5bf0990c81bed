from benchmarks.experiments.interleaved_runs import interleave


def test_the_ranking_that_is_nearer_to_the_shoppers_taste_is_preferred() -> None:
    result = interleave(1.5, 0.7, users=400, every=100, runs=10, seed=1)
    assert (result.called_second, result.called_first) == (1, 0)
    assert result.users_until_found is not None
    assert interleave(0.7, 1.5, users=400, every=100, runs=10, seed=1).called_first == 1


def test_equal_rankings_are_rarely_called_different() -> None:
    result = interleave(1.0, 1.0, users=300, every=25, runs=40, seed=2)
    assert result.called_second + result.called_first < 0.1
