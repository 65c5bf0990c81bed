"""The tables of docs/experiments.md: `python -m benchmarks.experiments [RUNS]`. One core, minutes; no stack."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace

from benchmarks.experiments.adjusted_runs import adjusted
from benchmarks.experiments.interleaved_runs import interleave
from benchmarks.experiments.logged_policies import LoggedShop, coverage
from benchmarks.experiments.planted_arms import PlantedShop
from benchmarks.experiments.sample_ratio_runs import alarms
from benchmarks.experiments.watched_runs import watch

SEED = 7
SHOP = PlantedShop(shoppers=10_000)
SHOPS = {
    "rate 4 %, 2.5 sessions": SHOP,
    "rate 0.5 %": replace(SHOP, rate=0.005),
    "treatment has 10 %": replace(SHOP, treated=0.1),
    "shoppers differ little, 20 sessions": replace(SHOP, shoppers=2_000, spread=1e5, sessions=20.0),
    "shoppers differ much": replace(SHOP, spread=2.0),
    "clicks fall by half": replace(SHOP, drift=-0.5),
}
LIFTS = (0.1, 0.2, 0.3, 0.5)


def main(runs: int = 200) -> None:
    """Prints each table when it is done."""
    _print("equal arms, watched after every session", _equal_arms(runs))
    _print("a better arm, watched after every session", _better_arms(runs))
    _print("sample ratio, a look after every 50 users of 10,000", _sample_ratios(runs))
    _print("off-policy estimates, 95 % intervals", _policies(runs))
    _print("the users' history (CUPED), 4,000 users, 95 % intervals for one look", _histories(runs))
    _print("interleaving, a look after every 50 users of 1,000", _interleaved(max(1, runs // 4)))


def _equal_arms(runs: int) -> Iterable[Sequence[object]]:
    yield "shop", "always valid", "interval for one look"
    for name, shop in SHOPS.items():
        result = watch(shop, 0.0, runs, SEED)
        yield name, _percent(result.called_different), _percent(result.called_by_fixed)


def _better_arms(runs: int) -> Iterable[Sequence[object]]:
    yield "lift", "found", "median shoppers until found", "planted difference ever left out"
    for lift in LIFTS:
        result = watch(SHOP, lift, runs, SEED)
        until = result.shoppers_until_found
        yield (
            _percent(lift),
            _percent(result.called_different),
            "-" if until is None else f"{until:,.0f}",
            _percent(result.truth_left_out),
        )


def _sample_ratios(runs: int) -> Iterable[Sequence[object]]:
    yield "users arrive", "alarm below p", "chi-square, at the end", "chi-square, watched", "always valid, watched"
    halves = {"a": 0.5, "b": 0.5}
    for arrive, alpha in ((0.5, 0.05), (0.5, 0.001), (0.48, 0.001), (0.46, 0.001)):
        share = {"a": arrive, "b": 1 - arrive}
        result = alarms(halves, share, alpha=alpha, users=10_000, every=50, runs=5 * runs, seed=SEED)
        found = (result.chi_square, result.chi_square_watched, result.always_valid_watched)
        yield f"{arrive:.0%} / {1 - arrive:.0%}", alpha, *map(_percent, found)


def _policies(runs: int) -> Iterable[Sequence[object]]:
    yield "users", "estimate", "bias, of the truth", "coverage", "width, of the truth"
    shop = LoggedShop(SEED)
    for users in (300, 2_000):
        for name, result in coverage(shop, users, 5 * runs, SEED).items():
            yield users, name, f"{result.bias:+.1%}", _percent(result.coverage), _percent(result.width)


def _histories(runs: int) -> Iterable[Sequence[object]]:
    yield "users with a history", "variance, of the unadjusted", "coverage"
    for share in (0.0, 0.5, 1.0):
        result = adjusted(4_000, share, runs, SEED)
        yield _percent(share), _percent(result.variance_ratio), _percent(result.coverage)


def _interleaved(runs: int) -> Iterable[Sequence[object]]:
    yield "noise of the rankings", "second preferred", "first preferred", "median users until found"
    for first, second in ((1.0, 1.0), (1.2, 0.8), (1.5, 0.7)):
        result = interleave(first, second, users=1_000, every=50, runs=runs, seed=SEED)
        until = result.users_until_found
        called = (result.called_second, result.called_first)
        yield f"{first:g} and {second:g}", *map(_percent, called), "-" if until is None else f"{until:,.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _print(title: str, rows: Iterable[Sequence[object]]) -> None:
    print(f"\n{title}\n")
    for place, row in enumerate(rows):
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
        if place == 0:
            print("|" + "---|" * len(row))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
