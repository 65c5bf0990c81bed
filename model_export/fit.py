"""Training: next item at every step of windows of histories, early stopping on the next window of time."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model_export.dataset import Examples
from model_export.encoders import NextItem, build
from model_export.losses import full_softmax, sampled_softmax
from model_export.metrics import ranks, summary
from model_export.windows import Batch, batch_of, covering

Log = Callable[[str], None]
Report = Callable[[str, float], None]  # a name of `train_metrics.METRICS` and its value


def unreported(_: str, __: float) -> None:
    """Reports nothing."""


@dataclass(frozen=True)
class FitOptions:
    """Hyper-parameters; docs/models.md says what they were chosen by."""

    encoder: str = "gru"
    width: int = 128
    window: int = 20
    scale: float = 16.0
    dropout: float = 0.25
    epochs: int = 12
    patience: int = 3
    batch: int = 128  # windows
    learning_rate: float = 4e-3
    weight_decay: float = 1e-5
    negatives: int = 0  # 0: the softmax is over all items
    average: float = 0.0  # decay of the running average of weights that is kept; 0: the last weights
    seed: int = 7


@dataclass(frozen=True)
class Fitted:
    """The trained model, the epoch that was best on the validation window, and its metrics there."""

    model: NextItem
    epochs: int
    validation: dict[str, float]


def fit(
    train: Examples, valid: Examples | None, items: int, options: FitOptions, log: Log, report: Report = unreported
) -> Fitted:
    """Trains until the validation MRR@20 stops rising (or `epochs` times when `valid` is None); keeps the best."""
    torch.manual_seed(options.seed)
    generator = np.random.default_rng(options.seed)
    model = build(options.encoder, items, options.width, options.dropout, options.window, options.scale)
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(options.average)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    steps = options.epochs * (len(covering(train, np.random.default_rng(0))) // options.batch + 2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, total_steps=steps, pct_start=0.1)
    best: tuple[float, int, dict[str, Tensor], dict[str, float]] = (-1.0, 0, {}, {})
    for epoch in range(1, options.epochs + 1):
        started, losses, asked = time.monotonic(), [], 0
        report("epoch", epoch)
        model.train()
        drawn = covering(train, generator)
        for begin in range(0, len(drawn), options.batch):
            batch = batch_of(train, drawn[begin : begin + options.batch])
            loss = loss_of(model, batch, options.negatives)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if options.average:
                averaged.update_parameters(model)
            losses.append(float(loss.detach()))
            asked += int((batch.following > 0).sum())
        seconds = time.monotonic() - started
        line = f"epoch {epoch}: loss {np.mean(losses):.3f}, {seconds:.0f} s"
        report("loss", float(np.mean(losses)))
        report("examples_per_second", asked / max(seconds, 1e-9))
        if valid is None:
            log(line)
            continue
        current: NextItem = averaged.module if options.average else model
        found = evaluate(current, valid)
        log(f"{line}, validation " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
        report("validation_mrr20", found["MRR@20"])
        report("validation_recall20", found["R@20"])
        if found["MRR@20"] > best[0]:
            best = (found["MRR@20"], epoch, {k: v.clone() for k, v in current.state_dict().items()}, found)
        elif epoch - best[1] >= options.patience:
            break
    if valid is not None:
        model.load_state_dict(best[2])
    elif options.average:
        model.load_state_dict(averaged.module.state_dict())
    model.eval().freeze()
    return Fitted(model, best[1] or options.epochs, best[3])


def loss_of(model: NextItem, batch: Batch, negatives: int) -> Tensor:
    """Mean cross-entropy over all steps of the batch that are asked about; the padding row never competes."""
    asked = batch.following > 0
    wanted, target = model.wanted(batch.items, batch.kinds)[asked], batch.following[asked] - 1
    table, bias = model.table()[1:], model.bias[1:]
    if not negatives or negatives >= len(table):
        return full_softmax(wanted, table, bias, target, model.scale)
    drawn = torch.randint(len(table), (negatives,))
    return sampled_softmax(wanted, table, bias, target, model.scale, drawn)


def model_scores(model: NextItem, asked: Examples) -> npt.NDArray[np.float32]:
    """float32 [B, N + 1]."""
    inputs = asked.features.inputs()
    with torch.inference_mode():
        scores: npt.NDArray[np.float32] = model.scores(
            *(torch.from_numpy(inputs[n]) for n in ("items", "kinds", "length"))
        ).numpy()
    return scores


def evaluate(model: NextItem, asked: Examples, batch: int = 1024) -> dict[str, float]:
    """R@20, MRR@20 and NDCG@20 over all items."""
    model.eval()
    found = []
    for begin in range(0, len(asked), batch):
        part = asked.where(np.arange(begin, min(begin + batch, len(asked))))
        found.append(ranks(model_scores(model, part), part.target))
    return summary(np.concatenate(found))
