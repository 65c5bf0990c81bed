"""Training with early stopping on the next window of time; it continues after a crash."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from model_export.data.dataset import Examples
from model_export.measures.training_log import Log, Report, unreported
from model_export.models.adapters import merge_adapters
from model_export.models.encoders import NextItem
from model_export.training.fit_options import FitOptions
from model_export.training.training import Training
from model_export.training.training_checkpoint import TrainingCheckpoint


@dataclass(frozen=True)
class Fitted:
    """The trained model, its best epoch on the validation window, and the metrics there."""

    model: NextItem
    epochs: int
    validation: dict[str, float]


def fit(
    training: Training,
    valid: Examples | None,
    log: Log,
    report: Report = unreported,
    checkpoint: TrainingCheckpoint | None = None,
) -> Fitted:
    """Trains until the validation MRR@20 stops rising and returns the best epoch; without `valid`, trains all `epochs`."""
    checkpoint, options = checkpoint or TrainingCheckpoint(None, log), training.options
    key = training.fingerprint()
    if (saved_state := checkpoint.load(key)) is not None:
        training.restore(saved_state)
        log(f"going on after epoch {training.epoch}")
    with matmul_precision(options.bf16_products):
        while training.epoch < options.epochs and training.epoch - training.best["epoch"] < _patience(valid, options):
            started_s = time.monotonic()
            report("epoch", training.epoch + 1)
            loss, steps = training.run_epoch()
            seconds = time.monotonic() - started_s
            report("loss", loss)
            report("examples_per_second", steps / max(seconds, 1e-9))
            line = f"epoch {training.epoch}: loss {loss:.3f}, {seconds:.0f} s"
            if valid is not None:
                metrics = training.judge(valid)
                line += ", validation " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
                report("validation_mrr20", metrics["MRR@20"])
                report("validation_recall20", metrics["R@20"])
            log(line)
            if training.group.rank == 0:
                checkpoint.save(key, training.state())
    model = training.current
    if valid is not None:
        model.load_state_dict(training.best["weights"])
    model.cpu().eval()
    merge_adapters(model)
    model.transitions.count(
        training.all_examples
    )  # those of the users who taught the heads as well: what is served knows all
    model.freeze()
    return Fitted(model, training.best["epoch"] or training.epoch, training.best["metrics"])


def _patience(valid: Examples | None, options: FitOptions) -> int:
    return options.patience if valid is not None else options.epochs


@contextlib.contextmanager
def matmul_precision(bf16: bool) -> Iterator[None]:
    """Inside this block matrix products use bf16 (TF32 on a GPU) with float32 sums: 1.5 times as fast on CPUs with bf16."""
    cpu, gpu = torch.backends.mkldnn.matmul, torch.backends.cuda.matmul
    precisions = cpu.fp32_precision, gpu.fp32_precision
    if bf16:
        cpu.fp32_precision, gpu.fp32_precision = "bf16", "tf32"
    try:
        yield
    finally:
        cpu.fp32_precision, gpu.fp32_precision = precisions
