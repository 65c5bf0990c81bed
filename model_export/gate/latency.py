"""The lines on cost: CPU time of the same micro-batches by both bundles, size of the files."""

import time
from statistics import median

import numpy as np

from model_export.evaluation.served import Served
from model_export.gate.report import Line, judged
from operators.configuration.shop_settings import GateLimits
from operators.model.bundle_files import MANIFEST
from operators.model.model_bundle import ModelBundle
from operators.shopper.features import Features

USERS, BATCHES, WARM_UP = 32, 41, 3
SMALLER = 'choose --size small or encoder = "pair-sum", or export it with --int8 (docs/train.md)'


def batch_times(served: list[Served], inputs: list[Features]) -> list[list[float]]:
    """CPU ms of each of `BATCHES` micro-batches, for each bundle and its own `inputs` of the same users.

    The bundles take turns, and the first one changes, so what happens on the machine concerns all. It is the CPU time of
    this thread, in which ONNX Runtime computes: other processes do not count.
    """
    times: list[list[float]] = [[] for _ in served]
    for number in range(-WARM_UP, BATCHES):
        places = np.arange(number * USERS, (number + 1) * USERS) % len(inputs[0].length)
        order = range(len(served)) if number % 2 else reversed(range(len(served)))
        for turn in order:
            batch = inputs[turn].where(places)
            started_ns = time.thread_time_ns()
            served[turn].candidates(batch)
            spent_ms = (time.thread_time_ns() - started_ns) / 1e6
            if number >= 0:
                times[turn].append(spent_ms)
    return times


def latency_line(candidate_ms: list[float], limits: GateLimits) -> Line:
    """Whether a micro-batch keeps the budget."""
    value = median(candidate_ms)
    return judged(
        "latency",
        value <= limits.max_batch_ms,
        f"{USERS} users in {limits.max_batch_ms:g} ms of CPU or less",
        f"{value:.2f} ms",
        SMALLER,
        value=value,
        limit=limits.max_batch_ms,
    )


def slower_line(candidate_ms: list[float], champion_ms: list[float], limits: GateLimits) -> Line:
    """How many times as long the candidate takes: the median of the ratios of the same micro-batches."""
    ratio = median(ours / theirs for ours, theirs in zip(candidate_ms, champion_ms, strict=True))
    return judged(
        "slower",
        ratio <= limits.max_slower,
        f"at most {limits.max_slower:g} times the champion's time for the same users",
        f"{ratio:.2f} times ({median(candidate_ms):.2f} ms against {median(champion_ms):.2f})",
        SMALLER,
        value=ratio,
        champion=1,
        limit=limits.max_slower,
    )


def size_line(candidate: ModelBundle, limits: GateLimits) -> Line:
    """MB of the manifest and the files that it names, which are all that is shipped."""
    names = (MANIFEST, *candidate.manifest["files"])
    value = sum((candidate.folder / name).stat().st_size for name in names) / 1e6
    return judged(
        "size",
        value <= limits.max_mb,
        f"{limits.max_mb:g} MB of files or less",
        f"{value:.2f} MB",
        "export it with --int8 or --fp16 (docs/train.md)",
        value=value,
        limit=limits.max_mb,
    )
