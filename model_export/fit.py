"""Training of the `small` model: next item at every step of sampled windows, early stopping on the next window."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model_export.dataset import NEGATIVE_KINDS, Examples
from model_export.gru import SmallGru
from model_export.metrics import ranks, summary

Log = Callable[[str], None]
Report = Callable[[str, float], None]  # a name of `train_metrics.METRICS` and its value


def unreported(_: str, __: float) -> None:
    """Reports nothing."""


@dataclass(frozen=True)
class FitOptions:
    """Hyper-parameters; the defaults are what the demo's bundle was made with."""

    width: int = 128
    dropout: float = 0.2
    epochs: int = 12
    patience: int = 3
    batch: int = 256
    share: float = 0.15  # of the training windows, drawn anew each epoch: they overlap …
    at_least: int = 20_000  # … but so many where there are
    learning_rate: float = 4e-3
    weight_decay: float = 1e-5
    smoothing: float = 0.0
    seed: int = 7


@dataclass(frozen=True)
class Fitted:
    """The trained model, the epoch that was best on the validation window, and its metrics there."""

    model: SmallGru
    epochs: int
    validation: dict[str, float]


def fit(
    train: Examples, valid: Examples | None, items: int, options: FitOptions, log: Log, report: Report = unreported
) -> Fitted:
    """Trains until the validation MRR@20 stops rising (or `epochs` times when `valid` is None); keeps the best."""
    torch.manual_seed(options.seed)
    generator = np.random.default_rng(options.seed)
    model = SmallGru(items, options.width, options.dropout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    per_epoch = min(len(train), max(options.at_least, int(len(train) * options.share)))
    steps = options.epochs * (per_epoch // options.batch + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, total_steps=steps, pct_start=0.1)
    best: tuple[float, int, dict[str, Tensor], dict[str, float]] = (-1.0, 0, {}, {})
    for epoch in range(1, options.epochs + 1):
        started, losses = time.monotonic(), []
        report("epoch", epoch)
        model.train()
        drawn = generator.permutation(len(train))[:per_epoch]
        for begin in range(0, len(drawn), options.batch):
            loss = _loss(model, train, drawn[begin : begin + options.batch], options.smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        seconds = time.monotonic() - started
        line = f"epoch {epoch}: loss {np.mean(losses):.3f}, {seconds:.0f} s"
        report("loss", float(np.mean(losses)))
        report("examples_per_second", len(drawn) / max(seconds, 1e-9))
        if valid is None:
            log(line)
            continue
        found = evaluate(model, valid)
        log(f"{line}, validation " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
        report("validation_mrr20", found["MRR@20"])
        report("validation_recall20", found["R@20"])
        if found["MRR@20"] > best[0]:
            best = (found["MRR@20"], epoch, {k: v.clone() for k, v in model.state_dict().items()}, found)
        elif epoch - best[1] >= options.patience:
            break
    if valid is not None:
        model.load_state_dict(best[2])
    return Fitted(model.eval(), best[1] or options.epochs, best[3])


def _loss(model: SmallGru, train: Examples, rows: npt.NDArray[np.int64], smoothing: float) -> Tensor:
    """Mean cross-entropy over all steps whose next item is a positive one."""
    f = train.features
    items = torch.from_numpy(f.items[rows].astype(np.int64))
    kinds = torch.from_numpy(f.kinds[rows].astype(np.int64))
    length = torch.from_numpy(f.length[rows].astype(np.int64))
    following = torch.zeros_like(items)
    following[:, :-1] = torch.where(torch.isin(kinds[:, 1:], torch.tensor(NEGATIVE_KINDS)), 0, items[:, 1:])
    last = torch.arange(len(rows))
    following[last, (length - 1).clamp(min=0)] = torch.from_numpy(train.target[rows].astype(np.int64))
    hidden = model.hidden(items, kinds)
    asked = (following > 0) & (length > 0)[:, None]
    return nn.functional.cross_entropy(model.scores_of(hidden[asked]), following[asked], label_smoothing=smoothing)


def model_scores(model: SmallGru, asked: Examples, batch: int = 1024) -> npt.NDArray[np.float32]:
    """float32 [B, N + 1] of all questions."""
    parts = []
    with torch.inference_mode():
        for begin in range(0, len(asked), batch):
            inputs = asked.where(np.arange(len(asked)) // batch == begin // batch).features.inputs()
            parts.append(model.scores(*(torch.from_numpy(inputs[n]) for n in ("items", "kinds", "length"))).numpy())
    return np.concatenate(parts)


def evaluate(model: SmallGru, asked: Examples) -> dict[str, float]:
    """R@20, MRR@20 and NDCG@20 over all items."""
    model.eval()
    step = 8192
    found = []
    for begin in range(0, len(asked), step):
        part = asked.where(np.arange(len(asked)) // step == begin // step)
        found.append(ranks(model_scores(model, part), part.target))
    return summary(np.concatenate(found))
