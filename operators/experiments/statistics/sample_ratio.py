"""Whether the arms have their shares of users. Where they do not, users were lost or moved, and no comparison holds."""

from collections.abc import Mapping
from math import erfc, exp, lgamma, log, pi, sqrt

ALARM = 0.001  # below this p-value the report says that the arms cannot be compared
_CONCENTRATION = 100.0  # of the Dirichlet prior around the shares; the test is valid for any


def chi_square_p(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """Pearson's test: for one look that was planned. Watched until it alarms, it alarms too often."""
    total = sum(counts.values())
    if _impossible(counts, shares):
        return 0.0
    open_arms = [arm for arm, share in shares.items() if share > 0]
    if total == 0 or len(open_arms) < 2:
        return 1.0
    statistic = sum((counts[arm] - total * shares[arm]) ** 2 / (total * shares[arm]) for arm in open_arms)
    return chi_square_tail(statistic, len(open_arms) - 1)


def always_valid_p(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """A test that may be watched: users arrive independently, and P(ever below alpha) <= alpha, exactly.

    1 / Bayes factor of a Dirichlet mixture around the shares against the shares (Lindon and Malek, "Anytime-Valid Inference
    for Multinomial Count Data", NeurIPS 2022).
    """
    if _impossible(counts, shares):
        return 0.0
    total = sum(counts.values())
    log_factor = lgamma(_CONCENTRATION) - lgamma(_CONCENTRATION + total)
    for arm, share in shares.items():
        if share > 0:
            prior = _CONCENTRATION * share
            log_factor += lgamma(prior + counts[arm]) - lgamma(prior) - counts[arm] * log(share)
    return min(1.0, exp(min(0.0, -log_factor)))


def _impossible(counts: Mapping[str, int], shares: Mapping[str, float]) -> bool:
    return any(counts[arm] > 0 and share == 0 for arm, share in shares.items())


def chi_square_tail(statistic: float, degrees: int) -> float:
    """P(chi-square > statistic): the finite sums of Abramowitz and Stegun, 26.4.4 (odd degrees) and 26.4.5 (even)."""
    half = statistic / 2
    if degrees % 2:
        term, total = sqrt(2 * statistic / pi) * exp(-half), 0.0
        for k in range(1, (degrees + 1) // 2):
            total += term
            term *= statistic / (2 * k + 1)
        return erfc(sqrt(half)) + total
    term, total = exp(-half), 0.0
    for k in range(1, degrees // 2 + 1):
        total += term
        term *= half / k
    return total
