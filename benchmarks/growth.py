"""What growth costs, drawn from `benchmarks/results/growth`, which one machine measured in one go: `make growth` (extra `report`)."""

import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.capacity import KEPT
from benchmarks.results import read

BATCH, WIDTH = 64, 128


def draw(results: dict[str, dict[str, Any]], file: Path) -> None:
    """Lists/s of the job over users and over items; beside the latter the scorer alone. Needs `state`, `catalogues` and `scorer`."""
    figure, (by_users, by_items) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    sizes = results["state"]["sizes"]
    by_users.plot([one["users"] for one in sizes], [one["lists_per_s"] for one in sizes], marker="o")
    by_users.set(
        xlabel="shoppers with a state", ylabel="lists/s", title="The job, one slot, 3,484 items", ylim=(0, None)
    )
    sizes = results["catalogues"]["sizes"]
    by_items.plot(
        [one["items"] for one in sizes],
        [one["lists_per_s"] for one in sizes],
        marker="o",
        label="the job, one slot, 1 to 5 steps",
    )
    for table in ("float32", "int8"):
        cells = [
            cell
            for cell in results["scorer"]["grid"]
            if (cell["width"], cell["batch"], cell["table"]) == (WIDTH, BATCH, table)
        ]
        rates = [cell["users_per_s"] for cell in cells]
        by_items.plot(
            [cell["items"] for cell in cells],
            rates,
            marker=".",
            linestyle="--",
            label=f"scorer alone, one core, 20 steps, {table}",
        )
    by_items.set(xlabel="items", ylabel="lists/s", title=f"Width {WIDTH}", yscale="log")
    by_items.legend()
    for axes in (by_users, by_items):
        axes.set_xscale("log")
        axes.grid(alpha=0.3, which="both")
    figure.savefig(file, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    draw(read(KEPT / "growth"), Path(sys.argv[1]))
