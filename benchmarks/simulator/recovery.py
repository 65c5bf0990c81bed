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

from benchmarks.simulator.ledger import Tally, Window
from operators.errors import LiveshelfError

DRAWS, LEVEL = 2_000, 0.95
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
    (bootstrap). `recovered` is None where the drift cost nothing that can be told from chance."""

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
    if plan.drift_s is None or any(window.frozen is None for window in windows):
        raise LiveshelfError("a run with a drift and a frozen bundle", str(plan), "run it with --drift-at and --frozen")
    drift_s, last_s = plan.drift_s, max((window.end_s for window in windows), default=0.0)
    settled_s = drift_s + plan.settled_s
    before = _phase(windows, lambda window: warm_s < window.end_s <= drift_s)
    after = _phase(windows, lambda window: settled_s < window.end_s - 10 and window.end_s <= settled_s + 70)
    end = _phase(windows, lambda window: window.end_s > max(settled_s, last_s - end_s))
    if min(len(before), len(after), len(end)) < 3:
        raise LiveshelfError(
            "three windows with looks before the drift, after it, and at the end",
            f"{len(before)}, {len(after)} and {len(end)}",
            "a longer run, or other --warm-s and --end-s",
        )
    cost, recovered = _cost_and_recovered(before.sum(axis=0), end.sum(axis=0))
    rng = np.random.default_rng(plan.seed)
    draws = np.array([_cost_and_recovered(_redrawn(before, rng), _redrawn(end, rng)) for _ in range(DRAWS)])
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    costs, recoveries = (tuple(map(float, np.quantile(draws[:, column], tails))) for column in (0, 1))
    told = costs[0] > 0
    sums = {"before": before.sum(axis=0), "after": after.sum(axis=0), "end": end.sum(axis=0)}
    return Recovery(
        recovered=float(recovered) if told else None,
        interval=(recoveries[0], recoveries[1]) if told else None,
        cost=float(cost),
        cost_interval=(costs[0], costs[1]),
        before=_means(sums["before"]),
        after=_means(sums["after"]),
        end=_means(sums["end"]),
        realised={name: float(total[5] / total[4]) for name, total in sums.items()},
        looks={name: int(total[4]) for name, total in sums.items()},
        without_list=sum(window.without_list for window in windows),
        models=_added([{name: tally.looks for name, tally in window.models.items()} for window in windows]),
        sources=_added([window.sources for window in windows]),
    )


def _phase(windows: Sequence[Window], is_in: Callable[[Window], bool]) -> np.ndarray:
    """float64 [windows, 6]: expected clicks of `LISTS`, looks, clicks that came."""
    rows = [_sums(window) for window in windows if window.shown.looks and is_in(window)]
    return np.array(rows).reshape(-1, len(LISTS) + 2)


def _sums(window: Window) -> list[float]:
    tallies = [getattr(window, name) or Tally() for name in LISTS]
    return [*(tally.expected for tally in tallies), window.shown.looks, window.shown.clicks]


def _cost_and_recovered(before: np.ndarray, end: np.ndarray) -> tuple[float, float]:
    shown, frozen, oracle = end[:3] / end[4]
    cost = before[0] / before[2] * oracle - frozen
    return cost, (shown - frozen) / cost


def _redrawn(phase: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    total: np.ndarray = phase[rng.integers(0, len(phase), len(phase))].sum(axis=0)
    return total


def _means(total: np.ndarray) -> dict[str, float]:
    return {name: float(total[column] / total[4]) for column, name in enumerate(LISTS)}


def _added(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    return {
        name: sum(count.get(name, 0) for count in counts) for name in sorted({name for one in counts for name in one})
    }
