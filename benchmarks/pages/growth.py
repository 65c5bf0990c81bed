"""Draws the cost of growth from `benchmarks/results/growth`, measured in one run on one machine: `make growth` (extra `report`)."""

import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.measuring.results import read
from benchmarks.pages.capacity import KEPT
from operators.errors import LiveshelfError

BATCH, WIDTH = 64, 128


def points(rows: list[dict[str, Any]], x: str, y: str) -> tuple[list[float], list[float]]:
    """The points of the measured rows. Raises `LiveshelfError` if fewer than two were measured."""
    measured_rows = [row for row in rows if row.get(y) is not None]
    if len(measured_rows) < 2:
        raise LiveshelfError(f"{y} at two of {x}", f"{len(measured_rows)} measured", "make growth")
    return [row[x] for row in measured_rows], [row[y] for row in measured_rows]


def draw(results: dict[str, dict[str, Any]], file: Path) -> None:
    """Draws lists/s of the job over users and over items, and of the scorer alone over items. Needs the results `state`,
    `catalogues` and `scorer`."""
    figure, (by_users, by_items) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    by_users.plot(*points(results["state"]["sizes"], "users", "lists_per_s"), marker="o")
    by_users.set(
        xlabel="shoppers with a state", ylabel="lists/s", title="The job, one slot, 3,484 items", ylim=(0, None)
    )
    by_items.plot(
        *points(results["catalogues"]["sizes"], "items", "lists_per_s"),
        marker="o",
        label="the job, one slot, 1 to 5 steps",
    )
    for table in ("float32", "int8"):
        cells = [
            cell
            for cell in results["scorer"]["grid"]
            if (cell["width"], cell["batch"], cell["table"]) == (WIDTH, BATCH, table)
        ]
        by_items.plot(
            *points(cells, "items", "users_per_s"),
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
