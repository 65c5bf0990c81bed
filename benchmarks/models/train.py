"""Measures training steps a second of both sizes on random sessions."""

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import Figure, NotMeasured, ratio
from operators.errors import LiveshelfError

SESSIONS, STEPS = 4_000, 6


def measure(items: int) -> dict[str, Any]:
    """Times one epoch of 24,000 steps of each size, after a warm-up epoch. Raises `LiveshelfError` without the train extra."""
    try:
        from model_export.data.sessions import session_examples
        from model_export.training.fit import matmul_precision
        from model_export.training.sizes import SIZES
        from model_export.training.training import Training
    except ImportError as error:
        raise LiveshelfError("torch, which trains", str(error), "make train-deps") from error
    from operators.shopper.features import Vocabulary

    words = Vocabulary([f"i{number}" for number in range(items)])
    item_numbers = np.random.default_rng(7).integers(0, items, (SESSIONS, STEPS))
    sessions, rows = [[f"i{number}" for number in row] for row in item_numbers], dict[str, Figure]()
    for size, options in SIZES.items():
        examples = session_examples(sessions, words, options.window, options.hop)
        training = Training(examples, items, replace(options, epochs=2))
        with matmul_precision(options.bf16_products):
            training.run_epoch()
            started_s = time.perf_counter()
            loss, steps = training.run_epoch()
        seconds = time.perf_counter() - started_s
        reason = f"the epoch learned {steps} steps with a loss of {loss}"
        rows[size] = round(steps / seconds) if steps and math.isfinite(loss) else NotMeasured(reason)
    return {
        "bench": "train",
        "items": items,
        "steps_per_s": rows,
        "ratios": {"steps/s, large to small": ratio(rows["large"], rows["small"])},
        "machine": describe(),
    }
