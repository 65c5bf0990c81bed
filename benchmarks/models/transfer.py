"""The value of another shop's encoder for a new shop, by the number of the new shop's examples.

Compares training from nothing, from the encoder, and with adapters beside the frozen encoder (LoRA).
"""

import itertools
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import Figure, ratio
from benchmarks.models.seeds import mean_and_deviation, print_progress
from operators.errors import LiveshelfError

if TYPE_CHECKING:
    from torch import Tensor

    from model_export.data.dataset import Examples
    from model_export.data.splits import Split
    from model_export.training.train_options import TrainingData, TrainOptions

FROM_NOTHING = "from nothing"


@dataclass(frozen=True)
class Start:
    """What a training starts from: the weights of another shop's encoder, and the rank of adapters beside it (0: none)."""

    name: str
    weights: "dict[str, Tensor] | None" = None
    rank: int = 0


def measure(
    source: "TrainingData", options: "TrainOptions", encoder: Path, shares: list[float], rank: int, seeds: list[int]
) -> dict[str, Any]:
    """Metrics in % on one test for each share of the training examples: mean and standard deviation over the seeds.

    A share is the newest examples, as a shop has that opened lately. Without `options.epochs`, each training finds the
    number of epochs on the validation window of its share, as `liveshelf train` does. Raises `LiveshelfError` without the
    train extra and where the encoder has another size; else as `split_of` does.
    """
    try:
        from model_export.models.adapters import read_encoder
        from model_export.training.train_options import split_of
    except ImportError as error:
        raise LiveshelfError("torch, which trains", str(error), "make train-deps") from error
    split, options = split_of(source, options)
    weights = read_encoder(encoder)
    starts = (Start(FROM_NOTHING), Start("taken over", weights), Start(f"adapters of rank {rank}", weights, rank))
    rows: list[dict[str, Any]] = []
    for share, start in itertools.product(shares, starts):
        share_split = replace(split, train=newest(split.train, share))
        row = {"share": share, "examples": len(share_split.train), "begins": start.name}
        rows.append(row | _trained(share_split, options, start, seeds))
        print_progress(rows[-1])
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


def _trained(split: "Split", options: "TrainOptions", start: Start, seeds: list[int]) -> dict[str, Any]:
    """Trains once with each seed: mean and deviation of each metric, the epochs, and seconds a training."""
    from model_export.evaluation.full_ranking import evaluate
    from model_export.measures.training_log import TrainingLog, unreported
    from model_export.training.fit import fit
    from model_export.training.process_group import SINGLE_PROCESS
    from model_export.training.train import search_options
    from model_export.training.training import Training

    metrics: dict[str, list[float]] = {}
    epochs, started_s = [], time.monotonic()
    for seed in seeds:
        seed_options = replace(options, seed=seed, lora_rank=start.rank)
        with tempfile.TemporaryDirectory() as folder:
            out, training_log = Path(folder) / "found", TrainingLog(unreported)
            fit_options, _ = search_options(
                split, out, seed_options, print_progress, training_log, SINGLE_PROCESS, start.weights
            )
        training = Training(split.train, len(split.words), fit_options, (), SINGLE_PROCESS, start.weights)
        for metric, value in evaluate(fit(training, None, print_progress).model, split.test).items():
            metrics.setdefault(metric, []).append(100 * value)
        epochs.append(fit_options.epochs)
    row: dict[str, Any] = {}
    for metric, values in metrics.items():
        row[metric], row[f"{metric} +-"] = mean_and_deviation(values, 2)
    return row | {"epochs": epochs, "seconds a training": round((time.monotonic() - started_s) / len(seeds), 1)}


def newest(train: "Examples", share: float) -> "Examples":
    """The newest share of the examples, with outcomes computed from these alone."""
    return train.where(np.flatnonzero(train.time_ms >= np.quantile(train.time_ms, 1 - share))).with_own_outcomes()


def _ratios(rows: list[dict[str, Any]]) -> Iterable[tuple[str, Figure]]:
    base = {row["share"]: row["MRR@20"] for row in rows if row["begins"] == FROM_NOTHING}
    for row in rows:
        if row["begins"] != FROM_NOTHING:
            name = f"MRR@20 of {100 * row['share']:g} %, {row['begins']}, to {FROM_NOTHING}"
            yield name, ratio(row["MRR@20"], base[row["share"]], 4)
