"""A training between two epochs: next item at every step of windows of histories."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from model_export.data.dataset import Examples
from model_export.data.windows import Batch, batch_of, batches, covering, hidden, tensors_of
from model_export.evaluation.full_ranking import evaluate
from model_export.models.adapters import begin_with
from model_export.models.copying import copy_loss
from model_export.models.encoders import NextItem, build
from model_export.models.losses import full_softmax, sampled_softmax
from model_export.models.tasks import Task
from model_export.training.fit_options import FitOptions
from model_export.training.process_group import ALONE, ProcessGroup
from model_export.training.training_checkpoint import fingerprint

WARM_UP = 0.1  # of all steps
COPY_USER_EVERY = 32  # one user of so many teaches the copy head and is kept from the encoder
COPY_EVERY, COPIED = 4, 256  # steps of the encoder to one of the copy head; examples in it
COPY_RATE = 0.02


class Training:
    """A model between two epochs, with all that the next one depends on."""

    def __init__(
        self,
        train: Examples,
        items: int,
        options: FitOptions,
        tasks: Sequence[Task] = (),
        group: ProcessGroup = ALONE,
        start: dict[str, Tensor] | None = None,
    ) -> None:
        """`start`: an encoder's weights to begin with (`model_export/models/adapters.py`)."""
        torch.manual_seed(options.seed)
        self.options, self.tasks, self.group = options, tasks, group
        self.all_examples, self._start = train, start
        self.train, self.copy_examples = _apart(train, options.heads)
        self.generator = np.random.default_rng(options.seed)
        self.drawing = np.random.default_rng(options.seed)  # the tasks' examples: batches are the same without them
        self.model = build(options.encoder, items, options.width, options.dropout, options.window, options.scale)
        if start is not None:
            begin_with(self.model, start, options.lora_rank)
        self.model.transitions.count(self.train)
        self.model.tasks.update({task.name: task.head(options.width) for task in tasks})
        if not len(self.copy_examples):
            self.model.silence()
        self.model.to(group.device)
        in_epoch = sum(1 for _ in self._batches(np.random.default_rng(0)))
        decay = max(0.0, 1 - 1 / max(options.average * in_epoch, 1))
        self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(decay))
        for part in self.averaged.modules():
            if isinstance(part, nn.RNNBase):
                part.flatten_parameters()  # the copy's weights lie apart: a GPU would gather them at every call
        heads = self.model.heads()
        learned = (weights for weights in self.model.parameters() if weights.requires_grad)
        self.encoder = [weights for weights in learned if not any(weights is head for head in heads)]
        self.optimizer = torch.optim.AdamW(self.encoder, lr=options.learning_rate, weight_decay=options.weight_decay)
        self.copying = torch.optim.Adam(heads, lr=COPY_RATE)
        share = partial(_share_of_rate, total=options.epochs * in_epoch)
        self.schedule, self.copy_schedule = LambdaLR(self.optimizer, share), LambdaLR(self.copying, share)
        self.epoch = 0
        self.best: dict[str, Any] = {"metrics": {}, "epoch": 0, "weights": None}

    @property
    def current(self) -> NextItem:
        """The weights that would be kept now."""
        averaged: NextItem = self.averaged.module
        return averaged if self.options.average else self.model

    def run_epoch(self) -> tuple[float, int]:
        """(mean loss, steps that were asked about)."""
        self.epoch += 1
        self.group.reseed(self.options.seed, self.epoch)
        self.model.train()
        losses, asked_steps = [], 0
        for number, rows in enumerate(self._batches(self.generator)):
            loss, steps = self._loss(rows)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.group.sum_gradients(self.encoder)
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            if len(self.copy_examples):
                if number % COPY_EVERY == 0:
                    self._teach_copying()
                self.copy_schedule.step()
            if self.options.average:
                self.averaged.update_parameters(self.model)
            losses.append(loss.item())
            asked_steps += steps
        return self.group.sum(float(np.mean(losses))), asked_steps

    def _loss(self, rows: npt.NDArray[np.int64]) -> tuple[Tensor, int]:
        """This process's part of the weighted sum over the next item and the tasks; how many steps the batch asks about."""
        own_rows = self.group.share(rows)
        batch = batch_of(self.train, own_rows if len(own_rows) else rows[:1])
        own_steps = int((batch.following > 0).sum()) if len(own_rows) else 0
        all_steps = int(self.group.sum(own_steps))
        parts = [task.weight / self.group.size * task.loss(self.model, self.drawing) for task in self.tasks]
        if self.options.personal:
            masked = hidden(batch.to(self.group.device), self.options.item_dropout, self.options.kind_dropout)
            parts.append(
                self.options.personal * own_steps / all_steps * loss_of(self.model, masked, self.options.negatives)
            )
        return torch.stack(parts).sum(), all_steps

    def _teach_copying(self) -> None:
        """One step of the heads on users of their own, after what the encoder would answer if it were served now."""
        questions = self.copy_examples.where(self.generator.integers(0, len(self.copy_examples), COPIED))
        items, kinds, length = tensors_of(questions, self.group.device)
        judged = self.current.eval()
        with torch.no_grad():
            scores, of_last = judged.after_last(items, kinds, length)
        self.model.train()
        target = torch.from_numpy(questions.target.astype(np.int64)).to(self.group.device)
        rows, logits = self.model.competing(*of_last)
        loss = copy_loss(self.model.copy.trust * scores, logits, rows, target)
        loss.backward()  # type: ignore[no-untyped-call]
        self.copying.step()
        self.copying.zero_grad(set_to_none=True)  # what stayed would count when the encoder's gradients are clipped

    def _batches(self, generator: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
        return batches(self.train, covering(self.train, generator), self.options.batch, generator)

    def fingerprint(self) -> str:
        """Of what is learned, how, and from which weights on."""
        return fingerprint(self.all_examples, asdict(self.options), self._start)

    def judge(self, valid: Examples) -> dict[str, float]:
        """Metrics now; the best so far are remembered with their weights."""
        metrics: dict[str, float] = self.group.agreed(evaluate(self.current, valid))
        if metrics["MRR@20"] > self.best["metrics"].get("MRR@20", -1.0):
            weights = {name: tensor.clone() for name, tensor in self.current.state_dict().items()}
            self.best = {"metrics": metrics, "epoch": self.epoch, "weights": weights}
        return metrics

    _PARTS = ("model", "averaged", "optimizer", "schedule", "copying", "copy_schedule")

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            **{name: getattr(self, name).state_dict() for name in self._PARTS},
            "epoch": self.epoch,
            "best": self.best,
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),  # none without a GPU
            "numpy": self.generator.bit_generator.state,
            "drawing": self.drawing.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        for name in self._PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.epoch, self.best = state["epoch"], state["best"]
        torch.set_rng_state(state["torch"])
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda"])
        self.generator.bit_generator.state = state["numpy"]
        self.drawing.bit_generator.state = state["drawing"]


def _apart(train: Examples, heads: bool) -> tuple[Examples, Examples]:
    """What the encoder learns from and what the heads learn from; all and nothing without heads, or of too few users."""
    for_heads, has_history = train.user % COPY_USER_EVERY == COPY_USER_EVERY - 1, train.features.length > 0
    if not heads or (for_heads & has_history).sum() < COPIED:
        for_heads[:] = False
    return train.where(~for_heads), train.where(for_heads & has_history)


def _share_of_rate(step: int, total: int) -> float:
    """Linear warm-up over a tenth, then half a cosine down to zero; epochs differ by a few steps, so it may end late."""
    progress = min((step + 1) / total, 1.0)
    return (
        progress / WARM_UP
        if progress < WARM_UP
        else 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))
    )


def loss_of(model: NextItem, batch: Batch, negatives: int) -> Tensor:
    """Mean cross-entropy over all steps of the batch that are asked about; the padding row never competes."""
    has_target = batch.following > 0
    vectors, target = model.user_vectors(batch.items, batch.kinds)[has_target], batch.following[has_target] - 1
    table, bias = model.table()[1:], model.bias[1:]
    if not negatives or negatives >= len(table):
        return full_softmax(vectors, table, bias, target, model.scale)
    drawn = torch.randint(len(table), (negatives,), device=table.device)
    return sampled_softmax(vectors, table, bias, target, model.scale, drawn)
