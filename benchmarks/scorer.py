"""The scorer alone: micro-batch by items by width, in float32 and int8, beside what the machine can do at best.

The graphs are those that `liveshelf train` exports, with weights of chance: the time does not depend on them.
"""

import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.machine import describe
from benchmarks.roofline import Roofline, roofline
from operators.errors import LiveshelfError
from operators.features import WINDOW
from operators.scorer import choose_provider

ITEMS, WIDTHS, BATCHES = (1_000, 20_000, 100_000), (64, 128), (1, 8, 64, 128)
ENCODER, TOP = "weighted-sum", 100
PRODUCTS_A_STEP, PRODUCTS_A_USER = 7, 5  # of a width x width matrix: GRU 6 and keys; query, projection, copies


@dataclass(frozen=True)
class Shape:
    """One cell of the grid but for the micro-batch."""

    items: int
    width: int
    table: str  # float32 or int8

    def operations(self, batch: int) -> float:
        """Multiplications and additions of a micro-batch of full histories."""
        encoder = 2 * (PRODUCTS_A_STEP * WINDOW + PRODUCTS_A_USER) * self.width**2
        return float(batch * (encoder + 2 * self.items * self.width))

    def traffic(self, batch: int) -> float:
        """Bytes: the table is read once, the scores are written and read by the top-k."""
        return float(self.items * self.width * (1 if self.table == "int8" else 4) + 2 * 4 * batch * self.items)


def measure(provider: str, seconds: float = 0.5) -> dict[str, Any]:
    """Users/s of each cell on one thread, and its share of the roofline. Raises `LiveshelfError` without the train extra."""
    wanted, why = choose_provider(provider)
    limits, cells = roofline(), []
    with tempfile.TemporaryDirectory() as folder:
        for shape, graph in _graphs(Path(folder)):
            session = _session(graph, wanted)
            for batch in BATCHES:
                rate = _rate(session, batch, seconds)
                cells.append(_cell(shape, batch, rate, limits))
    return {
        "bench": "scorer",
        "provider": wanted,
        "provider_reason": why,
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
    least = limits.seconds(shape.operations(batch), shape.traffic(batch)) / batch
    return {
        "items": shape.items,
        "width": shape.width,
        "table": shape.table,
        "batch": batch,
        "users_per_s": round(rate),
        "us_a_user": round(1e6 / rate, 1),
        "share_of_roofline": round(least * rate, 3),  # above 1 in int8: the roof is that of float32
    }


def _graphs(folder: Path) -> Iterator[tuple[Shape, Path]]:
    try:
        from model_export.encoders import build
        from model_export.graph import export_graph
        from model_export.quantize import quantize_table
    except ImportError as error:
        raise LiveshelfError("torch and onnx, which make the graphs", str(error), "make train-deps") from error
    for items, width in itertools.product(ITEMS, WIDTHS):
        plain, small = folder / f"{items}-{width}.onnx", folder / f"{items}-{width}-int8.onnx"
        model = build(ENCODER, items, width, 0.0, WINDOW, 16.0)
        model.freeze()
        export_graph(model, TOP, plain)
        quantize_table(plain, small)
        yield Shape(items, width, "float32"), plain
        yield Shape(items, width, "int8"), small


def _session(graph: Path, provider: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(graph), options, providers=[provider])


def inputs(batch: int, window: int, items: int, seed: int = 7) -> dict[str, np.ndarray[Any, Any]]:
    """A micro-batch of full histories of chance."""
    return {
        "items": np.random.default_rng(seed).integers(1, items + 1, (batch, window), dtype=np.int32),
        "kinds": np.ones((batch, window), dtype=np.int32),
        "length": np.full(batch, window, dtype=np.int32),
    }


def _rate(session: ort.InferenceSession, batch: int, seconds: float) -> float:
    given = inputs(batch, WINDOW, min(ITEMS))
    for _ in range(3):
        session.run(None, given)
    runs, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        session.run(None, given)
        runs += 1
    return runs * batch / (time.perf_counter() - begun)
