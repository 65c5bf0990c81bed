"""The state-age curve as a picture, beside it the reliability of the click probabilities (extra `report`)."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def draw(report: dict[str, Any], file: Path) -> None:
    """Draws the report of `evaluate_events`: P@20 over the age of the state, and the best baseline as a line; where the bundle
    serves click probabilities, their reliability."""
    curve, clicks = report["state_age"], report.get("clicks")
    figure, panels = plt.subplots(
        1, 1 + bool(clicks), figsize=(10 if clicks else 6.4, 3.6), layout="constrained", squeeze=False
    )
    axes = panels[0, 0]
    axes.plot(
        list(curve), [metrics["P@20"] for metrics in curve.values()], marker="o", label=report["model"].split()[0]
    )
    name, best_metrics = max(report["baselines"].items(), key=lambda pair: pair[1]["P@20"])
    axes.axhline(best_metrics["P@20"], linestyle="--", color="grey", label=f"{name}, with a fresh history")
    axes.set(xlabel="the state is older than the question by", ylabel="hits among 20, %", ylim=(0, None))
    axes.set_title(
        f"What freshness is worth: {report['protocol']['questions']} questions of {report['protocol']['set']}"
    )
    axes.grid(alpha=0.3)
    axes.legend()
    if clicks:
        _draw_reliability(panels[0, 1], clicks)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _draw_reliability(axes: Any, clicks: dict[str, Any]) -> None:
    """Clicked share over predicted probability in bins of equal size; on the diagonal they agree."""
    predicted, happened, _ = zip(*clicks["bins"], strict=True)
    end = max(*predicted, *happened)
    axes.plot((0, end), (0, end), linestyle="--", color="grey", label="predicted = true")
    axes.plot(predicted, happened, marker="o", label=f"ECE {100 * clicks['ECE']:.2f} points")
    axes.set(
        xlabel="p_click, mean of a tenth of the listed items",
        ylabel="chosen in the session",
        xlim=(0, None),
        ylim=(0, None),
    )
    own = f", {clicks['seen']:.0%} the calibration's own" if clicks["seen"] else ""
    axes.set_title(f"Reliability: {clicks['cases']} listed items{own}")
    axes.grid(alpha=0.3)
    axes.legend()
