"""The state-age curve as a picture (extra `report`)."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def draw(report: dict[str, Any], file: Path) -> None:
    """Draws the report of `evaluate_events`: P@20 over the age of the state, and the best baseline as a line."""
    curve = report["state_age"]
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
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
    figure.savefig(file, dpi=110)
    plt.close(figure)
