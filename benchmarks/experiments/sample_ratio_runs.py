"""How often the sample-ratio tests alarm, at one look and watched after every arrival."""

from dataclasses import dataclass

import numpy as np

from operators.experiments.statistics.sample_ratio import always_valid_p, chi_square_p


@dataclass(frozen=True)
class SampleRatioRuns:
    """Shares of the runs that alarmed. `watched`: at any of the looks."""

    chi_square: float
    chi_square_watched: float
    always_valid_watched: float


def alarms(
    shares: dict[str, float], arrive: dict[str, float], *, alpha: float, users: int, every: int, runs: int, seed: int
) -> SampleRatioRuns:
    """`shares`: what the test expects; `arrive`: what users do. A look after each `every` users."""
    rng = np.random.default_rng(seed)
    at_end, watched, always = 0, 0, 0
    for _ in range(runs):
        steps = rng.multinomial(every, [*arrive.values()], users // every).cumsum(axis=0)
        looks = [dict(zip(shares, map(int, counts), strict=True)) for counts in steps]
        chi_square = [chi_square_p(counts, shares) < alpha for counts in looks]
        at_end += chi_square[-1]
        watched += any(chi_square)
        always += any(always_valid_p(counts, shares) < alpha for counts in looks)
    return SampleRatioRuns(at_end / runs, watched / runs, always / runs)
