"""Measures the scorer on a CUDA device by catalogue, micro-batch and mode, beside one CPU thread and the device's roofline.

Modes: `session` is ONNX Runtime as on CPUs, with arrays in and out. `bound` keeps buffers on the device. `recorded` also
replays launches as CUDA graphs; this mode serves (`operators/model/gpu/cuda_batches.py`). `float16` also multiplies by the
table in float16. `tensorrt` runs only where its libraries are installed.
"""

import contextlib
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import NotMeasured, ratio, too_few
from benchmarks.models.onnx_alone import histories, session_of, users_per_s
from benchmarks.models.roofline import Roofline
from benchmarks.models.scorer import Shape, small_graph
from benchmarks.models.sized_graph import in_halves, sized
from operators.errors import LiveshelfError, StackError
from operators.model.batch_trimming import BestRows, Run
from operators.model.gpu.cuda_batches import CUDA, NotStarted, on_cuda
from operators.model.gpu.tensorrt_batches import TENSORRT, on_tensorrt
from operators.model.scorer import choose_provider
from operators.shopper.features import WINDOW

WIDTH, TOP, SMALL_ITEMS = 128, 100, 1_000
BATCHES = (1, 8, 32, 128, 512, 2048)
SCORES = 5e8  # maximum of users times items in a micro-batch: 2 GB of scores, several times in the graph
CPU_BATCH = 64


def measure(seconds: float, items: list[int]) -> dict[str, Any]:
    """Users/s of each cell. Raises `StackError` without a CUDA device and `LiveshelfError` without the train extra."""
    provider, reason = choose_provider("cuda")
    if provider != CUDA:
        raise StackError(
            "a CUDA device that ONNX Runtime can use", reason, "give --provider cpu, or look at nvidia-smi"
        )
    limits, cells, cpu = _roofline(), [], {}
    with tempfile.TemporaryDirectory() as folder:
        for size, graph, halves in _graphs(Path(folder), items):
            cpu[size] = users_per_s(session_of(graph), CPU_BATCH, seconds, WINDOW)
            batches = [batch for batch in BATCHES if batch * size <= SCORES]
            try:
                for mode, run in _modes(graph, halves, batches[-1]):
                    cells += [
                        _cell(Shape(size, WIDTH, "float32"), mode, batch, run, seconds, limits) for batch in batches
                    ]
            except NotStarted as error:
                raise StackError(CUDA, str(error), "see the provider's libraries and nvidia-smi") from error
    served = [cell for cell in cells if cell["way"].startswith("recorded")]
    best_rates = {size: max(cell["users_per_s"] for cell in served if cell["items"] == size) for size in cpu}
    return {
        "bench": "scorer on a GPU",
        "device": _device(),
        "gemm_gflops": round(limits.gemm / 1e9),
        "bandwidth_gb_s": round(limits.bandwidth / 1e9),
        "cpu_users_per_s": {size: round(rate) for size, rate in cpu.items()},
        "grid": cells,
        "ratios": {f"recorded to one CPU thread, {size} items": ratio(best_rates[size], cpu[size], 1) for size in cpu},
        "machine": describe(),
    }


def _modes(graph: Path, halves: Path, largest: int) -> Iterator[tuple[str, Run]]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session, _, _ = on_cuda(graph.read_bytes(), options, WINDOW, TOP, 1, recorded=False)
    yield "session", lambda inputs: session.run(None, inputs)
    for mode, file, recorded in (("bound", graph, False), ("recorded", graph, True), ("float16", halves, True)):
        _, run, reason = on_cuda(file.read_bytes(), options, WINDOW, TOP, largest, recorded=recorded)
        yield (mode if not recorded or "recorded" in reason else f"{mode}{reason}"), run
    if TENSORRT in ort.get_available_providers():
        with contextlib.suppress(NotStarted):
            engines = str(graph.parent / "engines")
            _, run, _ = on_tensorrt(graph.read_bytes(), options, WINDOW, TOP, largest, engines, graph.stem)
            yield "tensorrt", run


def _cell(shape: Shape, mode: str, batch: int, run: Run, seconds: float, limits: Roofline) -> dict[str, Any]:
    times = _times(run, histories(batch, WINDOW, WINDOW), seconds)
    median_s = float(np.median(times))
    too_few_reason = too_few(len(times), 0.99)
    return {
        "items": shape.items,
        "way": mode,
        "batch": batch,
        "users_per_s": round(batch / median_s),
        "ms_a_batch": round(1e3 * median_s, 3),
        # a hundred large batches would take too long
        "p99_ms": NotMeasured(too_few_reason, left_out=True)
        if too_few_reason
        else round(1e3 * float(np.quantile(times, 0.99)), 3),
        "share_of_roofline": round(limits.seconds(shape.operations(batch), shape.traffic(batch)) / median_s, 3),
    }


def _times(run: Callable[[dict[str, Any]], BestRows], inputs: dict[str, Any], seconds: float) -> list[float]:
    """Seconds of each micro-batch up to the answers on the host, after three warm-up batches."""
    for _ in range(3):
        run(inputs)
    times, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 5:
        started_s = time.perf_counter()
        run(inputs)
        times.append(time.perf_counter() - started_s)
    return times


def _graphs(folder: Path, sizes: list[int]) -> Iterator[tuple[int, Path, Path]]:
    small = small_graph(folder, WIDTH, SMALL_ITEMS)
    for items in sizes:
        graph, halves = folder / f"{items}.onnx", folder / f"{items}-halves.onnx"
        sized(small, SMALL_ITEMS, items, graph, TOP)
        in_halves(graph, halves)
        yield items, graph, halves
        graph.unlink()
        halves.unlink()


def _roofline() -> Roofline:
    """Measures the device with torch: a product of square float32 matrices without TF32, and a copy larger than its caches."""
    import torch

    left, right = (torch.randn(8192, 8192, device="cuda") for _ in range(2))
    source = torch.ones(1 << 29, device="cuda")  # 2 GiB
    target = torch.empty_like(source)

    def rate(work: Callable[[], object], amount: float) -> float:
        work()
        fastest = float("inf")
        for _ in itertools.repeat(None, 5):
            torch.cuda.synchronize()
            started_s = time.perf_counter()
            work()
            torch.cuda.synchronize()
            fastest = min(fastest, time.perf_counter() - started_s)
        return amount / fastest

    gemm = rate(lambda: torch.mm(left, right), 2.0 * 8192**3)
    bandwidth = rate(lambda: target.copy_(source), 2.0 * 4 * (1 << 29))
    return Roofline(gemm, bandwidth)


def _device() -> str:
    try:
        import torch
    except ImportError as error:
        raise LiveshelfError("torch, which makes the graphs", str(error), "make train-deps") from error
    return str(torch.cuda.get_device_name())
