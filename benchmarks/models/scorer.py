"""Measures the scorer alone by micro-batch, items and width, in float32 and int8, beside the machine's roofline.

The graphs are those that `liveshelf train` exports, with random weights: the time does not depend on them.
"""

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring.machine import describe
from benchmarks.models.onnx_alone import session_of, users_per_s
from benchmarks.models.roofline import Roofline, roofline
from operators.errors import LiveshelfError
from operators.shopper.features import WINDOW

WIDTHS, BATCHES = (64, 128), (1, 8, 64, 128)
ENCODER, TOP, SMALL_ITEMS = "weighted-sum", 100, 1_000
PRODUCTS_A_STEP, PRODUCTS_A_USER = 7, 5  # of a width x width matrix: GRU 6 and keys; query, projection, copies


@dataclass(frozen=True)
class Shape:
    """One cell of the grid, without the micro-batch."""

    items: int
    width: int
    table: str  # float32 or int8

    def operations(self, batch: int) -> float:
        """Multiplications and additions of a micro-batch of full histories."""
        encoder = 2 * (PRODUCTS_A_STEP * WINDOW + PRODUCTS_A_USER) * self.width**2
        return float(batch * (encoder + 2 * self.items * self.width))

    def traffic(self, batch: int) -> float:
        """Bytes: the table is read once; the scores are written once and read once by the top-k."""
        return float(self.items * self.width * (1 if self.table == "int8" else 4) + 2 * 4 * batch * self.items)


def measure(seconds: float, items: list[int]) -> dict[str, Any]:
    """Users/s of each cell on one thread of the CPU, and its share of the roofline.

    Raises `LiveshelfError` without the train extra.
    """
    limits, cells = roofline(), []
    with tempfile.TemporaryDirectory() as folder:
        for shape, graph in _graphs(Path(folder), items):
            session = session_of(graph)
            cells += [_cell(shape, batch, users_per_s(session, batch, seconds, WINDOW), limits) for batch in BATCHES]
    return {
        "bench": "scorer",
        "gemm_gflops": round(limits.gemm / 1e9, 1),
        "bandwidth_gb_s": round(limits.bandwidth / 1e9, 1),
        "grid": cells,
        "ratios": {
            f"share of roofline, {c['items']} items, width {c['width']}, {c['table']}": c["share_of_roofline"]
            for c in cells
            if c["batch"] == BATCHES[-1]
        },
        "machine": describe(),
    }


def _cell(shape: Shape, batch: int, rate: float, limits: Roofline) -> dict[str, Any]:
    roof_s = limits.seconds(shape.operations(batch), shape.traffic(batch)) / batch
    return {
        "items": shape.items,
        "width": shape.width,
        "table": shape.table,
        "batch": batch,
        "users_per_s": round(rate),
        "us_a_user": round(1e6 / rate, 1),
        "share_of_roofline": round(roof_s * rate, 3),  # may exceed 1 in int8: the roofline is for float32
    }


def small_graph(folder: Path, width: int, items: int) -> Path:
    """Exports the graph of a new model into `folder`. Raises `LiveshelfError` without the train extra."""
    try:
        from model_export.bundles.graph import export_graph
        from model_export.models.encoders import build
    except ImportError as error:
        raise LiveshelfError("torch and onnx, which make the graphs", str(error), "make train-deps") from error
    model = build(ENCODER, items, width, 0.0, WINDOW, 16.0)
    model.freeze()
    export_graph(model, TOP, folder / f"small-{width}.onnx")
    return folder / f"small-{width}.onnx"


def _graphs(folder: Path, sizes: list[int]) -> Iterator[tuple[Shape, Path]]:
    graphs = {width: small_graph(folder, width, SMALL_ITEMS) for width in WIDTHS}
    from benchmarks.models.sized_graph import sized
    from model_export.bundles.quantize import quantize_table

    for items, width in itertools.product(sizes, WIDTHS):
        plain, small = folder / f"{items}-{width}.onnx", folder / f"{items}-{width}-int8.onnx"
        sized(graphs[width], SMALL_ITEMS, items, plain, TOP)
        quantize_table(plain.read_bytes(), small)
        yield Shape(items, width, "float32"), plain
        yield Shape(items, width, "int8"), small
