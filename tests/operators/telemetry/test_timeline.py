import numpy as np

from operators.telemetry.timeline import STAGES, Timeline, stage_seconds

LINE = Timeline(10.0, 10.004, 10.009, 10.0091, 10.011, 10.0125, 10.0133, 10.015)


def test_the_stages_of_a_list_sum_to_its_freshness() -> None:
    seconds = stage_seconds(np.array([LINE, LINE._replace(emitted=10.5)]))
    assert seconds.shape == (2, len(STAGES))
    assert np.allclose(seconds.sum(axis=1), [0.005 + 0.01, 0.5])
    assert np.allclose(seconds[0], [0.004, 0.005, 0.0001, 0.0019, 0.0015, 0.0008, 0.0017])


def test_a_clock_that_is_ahead_gives_no_negative_stage() -> None:
    ahead = stage_seconds(np.array([LINE._replace(event=10.006, broker=10.2)]))
    assert (ahead >= 0).all()
    assert np.isclose(ahead.sum(), 10.015 - 10.006)


def test_no_lists_no_stages() -> None:
    assert stage_seconds(np.empty((0, 8))).shape == (0, len(STAGES))
