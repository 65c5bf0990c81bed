"""How much of what a drift cost a loop has won back, from the windows of a run.

Three phases: `before` (from `warm_s` to the drift), and `end` (the last `end_s` of the run); between them the loop learns.
A level is a list's expected clicks over those that the oracle's list could expect of the same looks: so it does not matter
that shoppers after a drift may be easier or harder to please.

    level_before = shown_before / oracle_before
    target       = level_before * oracle_end     clicks a list, had the drift cost nothing
    cost         = target - frozen_end           what it costs a model that never learns
    recovered    = (shown_end - frozen_end) / cost

1 means that the loop is as near to the oracle as it was, 0 that it is no better than the frozen model.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.simulator.ledger import WINDOW_S, Tally, Window
from benchmarks.simulator.real_shops import Floats
from operators.errors import LiveshelfError

DRAWS, LEVEL = 2_000, 0.95
SMALLEST_COST = 0.01  # of the clicks before: less is no loss that a loop could win back
MINUTE_S, LEAST_WINDOWS = 60.0, 3
LISTS = ("shown", "frozen", "oracle", "popular")


class RunPlan(msgspec.Struct, kw_only=True):
    """The first line of a run's file. `drift_s` None: nothing drifts; `settled_s`: how long the drift takes."""

    seed: int
    minutes: float
    drift_s: float | None
    settled_s: float = 0.0
    frozen: str | None
    started_at: int
    rate: float
    shoppers: int
    items: int


class Recovery(msgspec.Struct, kw_only=True):
    """`before`, `after` and `end`: expected clicks a list, by list (`after`: the minute from the end of the drift on);
    `realised`: clicks a list that came, of `shown`. `interval` of `recovered`: 95 %, windows drawn anew with replacement
    (bootstrap). `recovered` is None where the drift cost nothing that can be told from chance, or less than
    `SMALLEST_COST`."""

    recovered: float | None
    interval: tuple[float, float] | None
    cost: float
    cost_interval: tuple[float, float]
    before: dict[str, float]
    after: dict[str, float]
    end: dict[str, float]
    realised: dict[str, float]
    looks: dict[str, int]
    without_list: int
    models: dict[str, int]
    sources: dict[str, int]


def read_run(file: Path) -> tuple[RunPlan, list[Window]]:
    """A run's file: its plan, then a window a line; a last line that was cut off is left out. Raises `LiveshelfError`."""
    lines = file.read_bytes().split(b"\n")[:-1]
    try:
        plan = msgspec.json.decode(lines[0] if lines else b"", type=RunPlan)
        return plan, [msgspec.json.decode(line, type=Window) for line in lines[1:]]
    except msgspec.MsgspecError as error:
        raise LiveshelfError(
            f"a run of the simulator in {file}", str(error), "python -m benchmarks.simulator run"
        ) from error


def recovery(plan: RunPlan, windows: Sequence[Window], warm_s: float = 60.0, end_s: float = 180.0) -> Recovery:
    """Raises `LiveshelfError` for a run without drift, control, or enough looks."""
    phases = _phases(plan, windows, warm_s, end_s)
    before, after, end = (phase.sum(axis=0) for phase in phases.values())
    rng = np.random.default_rng(plan.seed)
    with np.errstate(divide="ignore", invalid="ignore"):  # a cost of 0
        cost, recovered = _cost_and_recovered(before, end)
        draws = np.array(
            [_cost_and_recovered(_redrawn(phases["before"], rng), _redrawn(phases["end"], rng)) for _ in range(DRAWS)]
        )
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    cost_low, cost_high = np.quantile(draws[:, 0], tails).tolist()
    low, high = np.quantile(draws[:, 1], tails).tolist()
    is_loss = cost_low > SMALLEST_COST * before[0] / before[4]
    return Recovery(
        recovered=float(recovered) if is_loss else None,
        interval=(low, high) if is_loss else None,
        cost=float(cost),
        cost_interval=(cost_low, cost_high),
        before=_means(before),
        after=_means(after),
        end=_means(end),
        realised={name: float(sums[5] / sums[4]) for name, sums in zip(phases, (before, after, end), strict=True)},
        looks={name: int(sums[4]) for name, sums in zip(phases, (before, after, end), strict=True)},
        without_list=sum(window.without_list for window in windows),
        models=_added([{name: tally.looks for name, tally in window.models.items()} for window in windows]),
        sources=_added([window.sources for window in windows]),
    )


def _phases(plan: RunPlan, windows: Sequence[Window], warm_s: float, end_s: float) -> dict[str, Floats]:
    """`before`, `after` and `end`. Raises `LiveshelfError`."""
    if plan.drift_s is None or any(window.frozen is None for window in windows):
        raise LiveshelfError("a run with a drift and a frozen bundle", str(plan), "run it with --drift-at and --frozen")
    drift_s, settled_s = plan.drift_s, plan.drift_s + plan.settled_s
    last_s = max((window.end_s for window in windows), default=0.0)
    phases = {
        "before": _phase(windows, lambda window: warm_s < window.end_s <= drift_s),
        "after": _phase(windows, lambda window: settled_s + WINDOW_S < window.end_s <= settled_s + WINDOW_S + MINUTE_S),
        "end": _phase(windows, lambda window: window.end_s > max(settled_s + WINDOW_S, last_s - end_s)),
    }
    if min(map(len, phases.values())) < LEAST_WINDOWS:
        raise LiveshelfError(
            "three windows with looks before the drift, in the minute after it, and at the end",
            ", ".join(f"{name} {len(phase)}" for name, phase in phases.items()),
            "a longer run, or other --warm-s and --end-s",
        )
    return phases


def _phase(windows: Sequence[Window], is_in: Callable[[Window], bool]) -> Floats:
    """float64 [windows, 6]: expected clicks of `LISTS`, looks, clicks that came."""
    rows = [_sums(window) for window in windows if window.shown.looks and is_in(window)]
    return np.array(rows).reshape(-1, len(LISTS) + 2)


def _sums(window: Window) -> list[float]:
    tallies = [getattr(window, name) or Tally() for name in LISTS]
    return [*(tally.expected for tally in tallies), window.shown.looks, window.shown.clicks]


def _cost_and_recovered(before: Floats, end: Floats) -> tuple[float, float]:
    shown, frozen, oracle = end[:3] / end[4]
    cost = before[0] / before[2] * oracle - frozen
    return cost, (shown - frozen) / cost


def _redrawn(phase: Floats, rng: np.random.Generator) -> Floats:
    total: Floats = phase[rng.integers(0, len(phase), len(phase))].sum(axis=0)
    return total


def _means(total: Floats) -> dict[str, float]:
    return {name: float(total[column] / total[4]) for column, name in enumerate(LISTS)}


def _added(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    return {
        name: sum(count.get(name, 0) for count in counts) for name in sorted({name for one in counts for name in one})
    }
