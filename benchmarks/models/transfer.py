"""What another shop's encoder is worth to a new one, by how much that one knows: without it, all of it taken over, or
adapters beside it (LoRA).
"""

import itertools
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import Figure, ratio
from benchmarks.models.seeds import mean_and_deviation, say
from operators.errors import LiveshelfError

if TYPE_CHECKING:
    from model_export.data.dataset import Examples
    from model_export.training.train_options import TrainingData, TrainOptions

FROM_NOTHING = "from nothing"


def measure(
    source: "TrainingData", options: "TrainOptions", encoder: Path, shares: list[float], rank: int, seeds: list[int]
) -> dict[str, Any]:
    """Metrics in % on one test for each share of what is known before it: mean and standard deviation over the seeds.

    A share is the newest examples, as a shop knows that opened lately. The number of epochs, where none is given, is found
    for each training on the validation window of its share, as `liveshelf train` does. Raises `LiveshelfError` without the
    train extra and where the encoder is another size's; else as `split_of` does.
    """
    try:
        from model_export.evaluation.full_ranking import evaluate
        from model_export.measures.training_log import TrainingLog, unreported
        from model_export.models.adapters import read_encoder
        from model_export.training.fit import fit
        from model_export.training.process_group import ALONE
        from model_export.training.train import searched
        from model_export.training.train_options import split_of
        from model_export.training.training import Training
    except ImportError as error:
        raise LiveshelfError("torch, which trains", str(error), "make train-deps") from error
    split, options = split_of(source, options)
    start = read_encoder(encoder)
    begins = {FROM_NOTHING: (None, 0), "taken over": (start, 0), f"adapters of rank {rank}": (start, rank)}
    rows: list[dict[str, Any]] = []
    for share, (begin, (weights, adapters)) in itertools.product(shares, begins.items()):
        part = replace(split, train=newest(split.train, share))
        metrics: dict[str, list[float]] = {}
        epochs, started_s = [], time.monotonic()
        for seed in seeds:
            tried = replace(options, seed=seed, lora_rank=adapters)
            with tempfile.TemporaryDirectory() as folder:
                training_log = TrainingLog(unreported)
                fitting, _ = searched(part, Path(folder) / "found", tried, say, training_log, ALONE, weights)
            training = Training(part.train, len(split.words), fitting, (), ALONE, weights)
            for metric, value in evaluate(fit(training, None, say).model, split.test).items():
                metrics.setdefault(metric, []).append(100 * value)
            epochs.append(fitting.epochs)
        row = {"share": share, "examples": len(part.train), "begins": begin}
        for metric, figures in metrics.items():
            row[metric], row[f"{metric} +-"] = mean_and_deviation(figures, 2)
        seconds = round((time.monotonic() - started_s) / len(seeds), 1)
        rows.append(row | {"epochs": epochs, "seconds a training": seconds})
        say(rows[-1])
    return {
        "bench": "transfer",
        "data": source.name,
        "encoder": encoder.name,
        "size": options.size,
        "questions": len(split.test),
        "seeds": seeds,
        "shares": rows,
        "ratios": dict(_ratios(rows)),
        "machine": describe(),
    }


def newest(train: "Examples", share: float) -> "Examples":
    """The newest examples, with outcomes that know only these."""
    return train.where(np.flatnonzero(train.time_ms >= np.quantile(train.time_ms, 1 - share))).alone()


def _ratios(rows: list[dict[str, Any]]) -> Iterable[tuple[str, Figure]]:
    base = {row["share"]: row["MRR@20"] for row in rows if row["begins"] == FROM_NOTHING}
    for row in rows:
        if row["begins"] != FROM_NOTHING:
            name = f"MRR@20 of {100 * row['share']:g} %, {row['begins']}, to {FROM_NOTHING}"
            yield name, ratio(row["MRR@20"], base[row["share"]], 4)
