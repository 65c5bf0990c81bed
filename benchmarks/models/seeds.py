"""Repeats one training with several seeds, to show how much of a metric is chance."""

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


def print_progress(line: object) -> None:
    """Prints progress on stderr; stdout is for the one JSON object."""
    print(line, file=sys.stderr, flush=True)


def measure(source: "TrainingData", options: "TrainOptions", seeds: list[int], device: str) -> dict[str, Any]:
    """Metrics in % on the test with all items ranked: mean and standard deviation over the seeds; seconds of each training.

    Without `options.epochs`, the first seed finds the number of epochs on the validation window. Raises `LiveshelfError`
    without the train extra, and as `device_of` and `split_of` do.
    """
    try:
        import torch

        from model_export.evaluation.full_ranking import evaluate
        from model_export.measures.training_log import TrainingLog, unreported
        from model_export.training.fit import fit
        from model_export.training.process_group import ProcessGroup, device_of
        from model_export.training.train import search_options
        from model_export.training.train_options import split_of
        from model_export.training.training import Training
    except ImportError as error:
        raise LiveshelfError("torch, which trains", str(error), "make train-deps") from error
    group, log = ProcessGroup(device=device_of(device)), print_progress
    split, options = split_of(source, replace(options, seed=seeds[0]))
    with tempfile.TemporaryDirectory() as folder:
        training_log = TrainingLog(unreported)
        fit_options, validation = search_options(split, Path(folder) / "found", options, log, training_log, group)
    metrics: dict[str, list[float]] = {}
    seconds = []
    for seed in seeds:
        started_s = time.monotonic()
        training = Training(split.train, len(split.words), replace(fit_options, seed=seed), (), group)
        model = fit(training, None, log).model
        seconds.append(round(time.monotonic() - started_s, 1))
        for name, value in evaluate(model.to(group.device), split.test).items():
            metrics.setdefault(name, []).append(100 * value)
        log(f"seed {seed}: " + ", ".join(f"{name} {values[-1]:.2f}" for name, values in metrics.items()))
    summary = summarised(metrics)
    return {
        "bench": "seeds",
        "data": source.name,
        "size": options.size,
        "settings": {name: value for name, value in asdict(fit_options).items() if name != "seed"},
        "device": torch.cuda.get_device_name(group.device) if group.device.type == "cuda" else "cpu",
        "seeds": seeds,
        "validation": validation,
        **summary,
        "seconds": seconds,
        "ratios": summary["means"],
        "machine": describe(),
    }


def summarised(metrics: dict[str, list[float]]) -> dict[str, Any]:
    """Means, standard deviations and all values of each metric. `metrics`: name -> a value for each seed."""
    statistics = {name: mean_and_deviation(values, 3) for name, values in metrics.items()}
    return {
        "means": {name: mean for name, (mean, _) in statistics.items()},
        "deviations": {name: deviation for name, (_, deviation) in statistics.items()},
        "each": {name: [round(value, 3) for value in values] for name, values in metrics.items()},
    }


def mean_and_deviation(values: Sequence[float], digits: int) -> tuple[Figure, Figure]:
    """Mean and sample deviation of a metric over the seeds, rounded. One value has no deviation."""
    mean = rounded(float(np.mean(values)), digits) if values else NotMeasured("no training gave a value")
    if len(values) < 2:
        return mean, NotMeasured("a deviation needs two seeds", left_out=True)
    return mean, rounded(float(np.std(values, ddof=1)), digits)
