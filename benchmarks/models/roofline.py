"""Measures the limits of one core of this machine: float32 matrix products and memory traffic.

`python -m benchmarks.models.roofline` prints JSON. It is a separate process because BLAS reads its number of threads when
it is loaded.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass

SECONDS = 1.0
SIZE = 1024  # of the square matrices: 4 MiB each
COPY_BYTES = 256 << 20  # larger than any cache


@dataclass(frozen=True)
class Roofline:
    """`gemm` float32 operations/s; `bandwidth` bytes/s, of which half are read and half written."""

    gemm: float
    bandwidth: float

    def seconds(self, operations: float, traffic: float) -> float:
        """The minimum time for these operations and bytes (Williams, Waterman and Patterson, CACM 2009)."""
        return max(operations / self.gemm, traffic / self.bandwidth)


def roofline() -> Roofline:
    """Measures in a separate process on one thread."""
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.models.roofline"],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return Roofline(**json.loads(process.stdout))


def _measure() -> dict[str, float]:
    import numpy as np

    def best_rate(work: object, amount: float) -> float:
        assert callable(work)
        work()
        until, fastest = time.perf_counter() + SECONDS, float("inf")
        while time.perf_counter() < until:
            started_s = time.perf_counter()
            work()
            fastest = min(fastest, time.perf_counter() - started_s)
        return amount / fastest

    left, right = (np.random.default_rng(1).random((SIZE, SIZE), dtype=np.float32) for _ in range(2))
    product = np.empty_like(left)
    source, target = np.ones(COPY_BYTES // 4, dtype=np.float32), np.empty(COPY_BYTES // 4, dtype=np.float32)
    return {
        "gemm": best_rate(lambda: np.matmul(left, right, out=product), 2.0 * SIZE**3),
        "bandwidth": best_rate(lambda: np.copyto(target, source), 2.0 * COPY_BYTES),
    }


if __name__ == "__main__":
    print(json.dumps(_measure()))
