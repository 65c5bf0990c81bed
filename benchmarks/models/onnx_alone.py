"""Measures a graph in ONNX Runtime alone, on one thread, with random histories: the upper bound for any engine around it."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

BATCHES = (8, 16, 32, 64, 128)
ROWS = 1_000  # the histories contain these items; every graph here has at least as many
MIN_RUNS = 3  # micro-batches, even if they exceed the time


def session_of(graph: Path) -> ort.InferenceSession:
    """A session on one thread of the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def users_per_s(session: ort.InferenceSession, batch: int, seconds: float, steps: int) -> float:
    """The rate over micro-batches of one size, after three warm-up batches. Histories have `steps` steps, padded if the graph
    has a fixed window."""
    window = session.get_inputs()[0].shape[1]
    window = window if isinstance(window, int) else steps
    inputs = histories(batch, window, steps)
    for _ in range(3):
        session.run(None, inputs)
    runs, started_s = 0, time.perf_counter()
    while time.perf_counter() - started_s < seconds or runs < MIN_RUNS:
        session.run(None, inputs)
        runs += 1
    return runs * batch / (time.perf_counter() - started_s)


def histories(batch: int, window: int, steps: int) -> dict[str, Any]:
    """Random inputs of `steps` steps, padded to `window`."""
    return {
        "items": np.random.default_rng(7).integers(1, ROWS, (batch, window), dtype=np.int32),
        "kinds": np.ones((batch, window), dtype=np.int32),
        "length": np.full(batch, steps, dtype=np.int32),
    }


def best_rate(graph: Path, steps: int, seconds: float = 1.5) -> dict[str, float]:
    """The best rate over micro-batch sizes."""
    session = session_of(graph)
    rates = {batch: users_per_s(session, batch, seconds, steps) for batch in BATCHES}
    batch = max(rates, key=lambda size: rates[size])
    return {"lists_per_s": round(rates[batch]), "batch": batch}
