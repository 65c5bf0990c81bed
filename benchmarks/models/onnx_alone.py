"""A graph in ONNX Runtime alone, on one thread, with histories of chance: what no engine around it can beat."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

BATCHES = (8, 16, 32, 64, 128)
ROWS = 1_000  # items of the histories; any graph here knows as many
FEWEST = 3  # micro-batches, however long they take


def session_of(graph: Path) -> ort.InferenceSession:
    """On one thread of the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def users_per_s(session: ort.InferenceSession, batch: int, seconds: float, steps: int) -> float:
    """Over micro-batches of one size, after three that warm; histories of `steps` steps, padded where the graph asks for it."""
    window = session.get_inputs()[0].shape[1]
    window = window if isinstance(window, int) else steps
    given = histories(batch, window, steps)
    for _ in range(3):
        session.run(None, given)
    runs, started_s = 0, time.perf_counter()
    while time.perf_counter() - started_s < seconds or runs < FEWEST:
        session.run(None, given)
        runs += 1
    return runs * batch / (time.perf_counter() - started_s)


def histories(batch: int, window: int, steps: int) -> dict[str, Any]:
    """Inputs of chance: `steps` steps each, padded to `window`."""
    return {
        "items": np.random.default_rng(7).integers(1, ROWS, (batch, window), dtype=np.int32),
        "kinds": np.ones((batch, window), dtype=np.int32),
        "length": np.full(batch, steps, dtype=np.int32),
    }


def best(graph: Path, steps: int, seconds: float = 1.5) -> dict[str, float]:
    """The best rate over micro-batch sizes."""
    session = session_of(graph)
    rates = {batch: users_per_s(session, batch, seconds, steps) for batch in BATCHES}
    batch = max(rates, key=lambda size: rates[size])
    return {"lists_per_s": round(rates[batch]), "batch": batch}
