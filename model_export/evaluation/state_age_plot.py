"""The state-age curve as a picture (extra `report`)."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def draw(found: dict[str, Any], file: Path) -> None:
    """Draws what `evaluate_events` found: hits among 20 over the age of the state, the best baseline as a line."""
    curve = found["state_age"]
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    axes.plot(list(curve), [one["P@20"] for one in curve.values()], marker="o", label=found["model"].split()[0])
    name, best = max(found["baselines"].items(), key=lambda pair: pair[1]["P@20"])
    axes.axhline(best["P@20"], linestyle="--", color="grey", label=f"{name}, with a fresh history")
    axes.set(xlabel="the state is older than the question by", ylabel="hits among 20, %", ylim=(0, None))
    axes.set_title(f"What freshness is worth: {found['protocol']['questions']} questions of {found['protocol']['set']}")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=110)
    plt.close(figure)
