"""The plot of an experiment's reports over time (extra `report`)."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from operators.errors import LiveshelfError
from operators.experiments.report import ExperimentReport, Interval

SIZE = (9.6, 3.4)


def plot(looks: Sequence[ExperimentReport]) -> Figure:
    """Rates of all arms, and differences from the control, over the users seen, with their intervals.

    `looks`: as `report_over_time` gives them. Looks that came too early for an interval are left out. Raises
    `LiveshelfError` where all did.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    rates, differences = figure.subplots(1, 2)
    if not any(_is_ready(look) for look in looks):
        raise LiveshelfError(
            "a look with enough users in each arm", f"{len(looks)} too early", "wait for more examples"
        )
    ready = [look for look in looks if _is_ready(look)]
    users = [sum(arm.users for arm in look.arms.values()) for look in ready]
    for name in ready[-1].arms:
        arms = [look.arms[name] for look in ready]
        _band(rates, users, [arm.rate for arm in arms], [arm.interval for arm in arms], name)
        compared = [arm.difference for arm in arms if arm.difference is not None]
        if compared:
            _band(differences, users, [one.estimate for one in compared], [one.interval for one in compared], name)
    last = ready[-1]
    differences.axhline(0, color="black", linewidth=0.8)
    rates.set(xlabel="users", ylabel=f"rate of {last.metric} or better, %", title=last.experiment)
    differences.set(
        xlabel="users", ylabel="percentage points", title=f"minus {last.control}, {last.level:.0%} always valid"
    )
    for axes in (rates, differences):
        axes.legend(frameon=False, fontsize=8)
    return figure


def _is_ready(look: ExperimentReport) -> bool:
    return all(arm.difference is None or not arm.difference.too_early for arm in look.arms.values())


def _band(axes: Axes, users: list[int], values: list[float], intervals: list[Interval], name: str) -> None:
    (line,) = axes.plot(users, [100 * value for value in values], label=name, linewidth=1.2)
    low, high = ([100 * interval[end] for interval in intervals] for end in (0, 1))
    axes.fill_between(users, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
