from benchmarks.experiments.adjusted_runs import adjusted


def test_history_narrows_the_interval_and_it_still_holds() -> None:
    result = adjusted(users=1000, with_history=0.7, runs=400, seed=4)
    assert result.variance_ratio < 0.7
    assert 0.925 < result.coverage < 0.975
    assert adjusted(users=1000, with_history=1.0, runs=50, seed=4).variance_ratio < result.variance_ratio
