"""The same training with several seeds: how far a metric is due to chance."""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import Figure, NotMeasured, rounded
from operators.errors import LiveshelfError

if TYPE_CHECKING:
    from model_export.training.train_options import TrainingData, TrainOptions


def say(line: object) -> None:
    """How far it is, for people: stdout is for the one JSON object."""
    print(line, file=sys.stderr, flush=True)


def measure(source: "TrainingData", options: "TrainOptions", seeds: list[int], device: str) -> dict[str, Any]:
    """Metrics in % on the test, all items ranked: mean and standard deviation over the seeds; seconds of each training.

    The number of epochs, where none is given, is found once, on the validation window, with the first seed. Raises
    `LiveshelfError` without the train extra, and as `device_of` and `split_of` do.
    """
    try:
        import torch

        from model_export.evaluation.full_ranking import evaluate
        from model_export.measures.training_log import TrainingLog, unreported
        from model_export.training.fit import fit
        from model_export.training.process_group import ProcessGroup, device_of
        from model_export.training.train import searched
        from model_export.training.train_options import split_of
        from model_export.training.training import Training
    except ImportError as error:
        raise LiveshelfError("torch, which trains", str(error), "make train-deps") from error
    group = ProcessGroup(device=device_of(device))
    split, options = split_of(source, replace(options, seed=seeds[0]))
    with tempfile.TemporaryDirectory() as folder:
        fitting, validated = searched(split, Path(folder) / "found", options, say, TrainingLog(unreported), group)
    metrics: dict[str, list[float]] = {}
    seconds = []
    for seed in seeds:
        started_s = time.monotonic()
        model = fit(Training(split.train, len(split.words), replace(fitting, seed=seed), (), group), None, say).model
        seconds.append(round(time.monotonic() - started_s, 1))
        for name, value in evaluate(model.to(group.device), split.test).items():
            metrics.setdefault(name, []).append(100 * value)
        say(f"seed {seed}: " + ", ".join(f"{name} {values[-1]:.2f}" for name, values in metrics.items()))
    metrics = {name: mean_and_deviation(values, 3) for name, values in metrics.items()}
    means = {name: mean for name, (mean, _) in metrics.items()}
    return {
        "bench": "seeds",
        "data": source.name,
        "size": options.size,
        "settings": {name: value for name, value in asdict(fitting).items() if name != "seed"},
        "device": torch.cuda.get_device_name(group.device) if group.device.type == "cuda" else "cpu",
        "seeds": seeds,
        "validation": validated,
        "means": means,
        "deviations": {name: deviation for name, (_, deviation) in metrics.items()},
        "each": {name: [round(value, 3) for value in values] for name, values in metrics.items()},
        "seconds": seconds,
        "ratios": means,
        "machine": describe(),
    }


def mean_and_deviation(values: Sequence[float], digits: int) -> tuple[Figure, Figure]:
    """Of a metric over seeds, rounded; the deviation of a sample, which one value does not have."""
    mean = rounded(float(np.mean(values)), digits) if values else NotMeasured("no training gave a value")
    if len(values) < 2:
        return mean, NotMeasured("a deviation needs two seeds", left_out=True)
    return mean, rounded(float(np.std(values, ddof=1)), digits)
