"""The plot of a run: click-through of the shown, the frozen, the best and the popular lists over time (extra `report`)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmarks.simulator.ledger import Window
from benchmarks.simulator.real_shops import Floats
from benchmarks.simulator.recovery import RunPlan

SIZE = (8.4, 3.8)
SMOOTHED = 3  # windows
STYLES = {
    "oracle": ("oracle", "0.6", "-"),
    "shown": ("the loop's lists, expected", "C0", "-"),
    "frozen": ("the frozen bundle's lists", "C3", "-"),
    "popular": ("popular items", "0.4", ":"),
}


def plot(plan: RunPlan, windows: Sequence[Window]) -> Figure:
    """Clicks a list over the minutes of the run. Vertical lines: the drift, and each bundle's first list."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    seen = [window for window in windows if window.shown.looks]
    minutes = np.array([window.end_s / 60 for window in seen])
    looks = np.array([window.shown.looks for window in seen], dtype=float)
    for name, (label, color, line) in STYLES.items():
        tallies = [getattr(window, name) for window in seen]
        if None not in tallies:
            axes.plot(minutes, _smooth([tally.expected for tally in tallies], looks), line, color=color, label=label)
    clicks = np.array([window.shown.clicks for window in seen])
    axes.plot(minutes, clicks / looks, ".", color="C0", alpha=0.4, markersize=4, label="the loop's lists, clicks")
    if plan.drift_s is not None:
        axes.axvline(plan.drift_s / 60, color="black", linewidth=0.8, linestyle="--")
        axes.annotate("drift", (plan.drift_s / 60, 0), xytext=(3, 3), textcoords="offset points", fontsize=8)
    first: dict[str, float] = {}
    for window in seen:
        for model in window.models:
            first.setdefault(model, window.end_s / 60)
    for number, minute in enumerate([*first.values()][1:]):
        label = "new bundle" if number == 0 else None
        axes.axvline(minute, ymax=0.04, color="C0", linewidth=1.2, label=label)
    axes.set(xlabel="minutes", ylabel="clicks a list", ylim=(0, None))
    figure.legend(loc="outside lower center", frameon=False, fontsize=8, ncols=3)
    return figure


def _smooth(values: Sequence[float], looks: Floats) -> Floats:
    """Means over `SMOOTHED` windows, weighted by looks."""
    kernel = np.ones(SMOOTHED)
    smoothed: Floats = np.convolve(values, kernel, "same") / np.convolve(looks, kernel, "same")
    return smoothed
