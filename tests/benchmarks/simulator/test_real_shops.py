"""The simulated shop has the skew and the sessions of real ones; the figures are those of the files that the module names."""

import numpy as np
import pytest

from benchmarks.simulator.real_shops import demand_shares, mean_session_length, session_length

# bol.com, 338,417 items: share of all clicks of the most clicked 0.1 %, 1 %, 5 %, … of the items
BOLCOM = {0.001: 0.0639, 0.01: 0.1895, 0.05: 0.3821, 0.1: 0.5012, 0.2: 0.6414, 0.5: 0.8523, 0.8: 0.9441}
# 23,753 sessions of bol.com/serenade: quantile and clicks; their mean
SESSIONS, SESSION_MEAN = {0.1: 2, 0.25: 2, 0.5: 3, 0.75: 5, 0.9: 9, 0.95: 13, 0.99: 22}, 4.78


@pytest.mark.parametrize(("top", "share"), BOLCOM.items())
def test_the_top_items_have_the_share_of_clicks_that_they_have_at_bolcom(top: float, share: float) -> None:
    shares = demand_shares(338_417)
    assert shares[: round(top * len(shares))].sum() == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("items", [1_000, 20_000])
def test_a_shop_of_another_size_has_the_same_skew(items: int) -> None:
    shares = demand_shares(items)
    assert shares.sum() == pytest.approx(1)
    for top in (0.05, 0.1, 0.2, 0.5):
        assert shares[: round(top * items)].sum() == pytest.approx(BOLCOM[top], abs=0.03)


def test_sessions_are_as_long_as_real_ones() -> None:
    rng = np.random.default_rng(1)
    lengths = [session_length(rng) for _ in range(20_000)]
    assert {q: np.quantile(lengths, q, method="inverted_cdf") for q in SESSIONS} == pytest.approx(SESSIONS, abs=1)
    assert np.mean(lengths) == pytest.approx(SESSION_MEAN, rel=0.05)
    assert mean_session_length() == pytest.approx(SESSION_MEAN, rel=0.05)
