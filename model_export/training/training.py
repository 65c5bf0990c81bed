"""The state of a training between two epochs; it learns the next item at every step of windows of histories."""

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
from model_export.data.windows import Batch, batch_of, batches, covering, mask_steps, tensors_of
from model_export.evaluation.full_ranking import evaluate
from model_export.models.adapters import start_from
from model_export.models.copying import copy_loss
from model_export.models.encoders import NextItem, build
from model_export.models.losses import full_softmax, sampled_softmax
from model_export.models.tasks import Task
from model_export.training.fit_options import FitOptions
from model_export.training.process_group import SINGLE_PROCESS, ProcessGroup
from model_export.training.training_checkpoint import fingerprint

WARM_UP = 0.1  # of all steps
COPY_USER_EVERY = 32  # one in so many users teaches the heads and is hidden from the encoder
COPY_EVERY, COPIED = 4, 256  # batches of the encoder for one batch of the heads; examples in it
COPY_RATE = 0.02


class Training:
    """A model between two epochs, with everything that the next epoch depends on."""

    def __init__(
        self,
        train: Examples,
        items: int,
        options: FitOptions,
        tasks: Sequence[Task] = (),
        group: ProcessGroup = SINGLE_PROCESS,
        encoder_weights: dict[str, Tensor] | None = None,
    ) -> None:
        """`encoder_weights`: the weights of an encoder to start from (`model_export/models/adapters.py`)."""
        torch.manual_seed(options.seed)
        self.options, self.tasks, self.group = options, tasks, group
        self.all_examples, self._encoder_weights = train, encoder_weights
        self.train, self.copy_examples = _split_for_heads(train, options.heads)
        self.generator = np.random.default_rng(options.seed)
        self.task_rng = np.random.default_rng(options.seed)  # the tasks' examples: batches are the same without them
        self.model = build(options.encoder, items, options.width, options.dropout, options.window, options.scale)
        if encoder_weights is not None:
            start_from(self.model, encoder_weights, options.lora_rank)
        self.model.transitions.count(self.train)
        self.model.tasks.update({task.name: task.head(options.width) for task in tasks})
        if not len(self.copy_examples):
            self.model.silence()
        self.model.to(group.device)
        batches_per_epoch = sum(1 for _ in self._batches(np.random.default_rng(0)))
        decay = max(0.0, 1 - 1 / max(options.average * batches_per_epoch, 1))
        self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(decay))
        for part in self.averaged.modules():
            if isinstance(part, nn.RNNBase):
                part.flatten_parameters()  # the copy's weights are not contiguous: a GPU would gather them at every call
        heads = self.model.heads()
        trainable = (weights for weights in self.model.parameters() if weights.requires_grad)
        self.encoder = [weights for weights in trainable if not any(weights is head for head in heads)]
        self.optimizer = torch.optim.AdamW(self.encoder, lr=options.learning_rate, weight_decay=options.weight_decay)
        self.copying = torch.optim.Adam(heads, lr=COPY_RATE)
        share = partial(_share_of_rate, total=options.epochs * batches_per_epoch)
        self.schedule, self.copy_schedule = LambdaLR(self.optimizer, share), LambdaLR(self.copying, share)
        self.epoch = 0
        self.best: dict[str, Any] = {"metrics": {}, "epoch": 0, "weights": None}

    @property
    def current(self) -> NextItem:
        """The model with the weights that would be exported now."""
        averaged: NextItem = self.averaged.module
        return averaged if self.options.average else self.model

    def run_epoch(self) -> tuple[float, int]:
        """Trains one epoch: (mean loss, number of steps with a target)."""
        self.epoch += 1
        self.group.reseed(self.options.seed, self.epoch)
        self.model.train()
        losses, question_steps = [], 0
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
            question_steps += steps
        return self.group.sum(float(np.mean(losses))), question_steps

    def _loss(self, rows: npt.NDArray[np.int64]) -> tuple[Tensor, int]:
        """This process's part of the weighted loss over the next item and the tasks, and the batch's number of targets."""
        own_rows = self.group.share(rows)
        batch = batch_of(self.train, own_rows if len(own_rows) else rows[:1])
        own_steps = int((batch.next_items > 0).sum()) if len(own_rows) else 0
        all_steps = int(self.group.sum(own_steps))
        parts = [task.weight / self.group.size * task.loss(self.model, self.task_rng) for task in self.tasks]
        if self.options.personal:
            masked = mask_steps(batch.to(self.group.device), self.options.item_dropout, self.options.kind_dropout)
            parts.append(
                self.options.personal * own_steps / all_steps * loss_of(self.model, masked, self.options.negatives)
            )
        return torch.stack(parts).sum(), all_steps

    def _teach_copying(self) -> None:
        """One training step of the heads on their own users, with the scores of the model that would be exported now."""
        questions = self.copy_examples.where(self.generator.integers(0, len(self.copy_examples), COPIED))
        items, kinds, length = tensors_of(questions, self.group.device)
        current = self.current.eval()
        with torch.no_grad():
            scores, of_last = current.after_last(items, kinds, length)
        self.model.train()
        target = torch.from_numpy(questions.target.astype(np.int64)).to(self.group.device)
        rows, logits = self.model.competing(*of_last)
        loss = copy_loss(self.model.copy.trust * scores, logits, rows, target)
        loss.backward()  # type: ignore[no-untyped-call]
        self.copying.step()
        self.copying.zero_grad(set_to_none=True)  # else these gradients would count when the encoder's are clipped

    def _batches(self, generator: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
        return batches(self.train, covering(self.train, generator, self.options.hop), self.options.batch, generator)

    def fingerprint(self) -> str:
        """The fingerprint of data, options and initial weights."""
        return fingerprint(self.all_examples, asdict(self.options), self._encoder_weights)

    def judge(self, valid: Examples) -> dict[str, float]:
        """The current metrics; keeps the best metrics so far with their weights."""
        metrics: dict[str, float] = self.group.broadcast(evaluate(self.current, valid))
        if metrics["MRR@20"] > self.best["metrics"].get("MRR@20", -1.0):
            weights = {name: tensor.clone() for name, tensor in self.current.state_dict().items()}
            self.best = {"metrics": metrics, "epoch": self.epoch, "weights": weights}
        return metrics

    _PARTS = ("model", "averaged", "optimizer", "schedule", "copying", "copy_schedule")

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {
            **{name: getattr(self, name).state_dict() for name in self._PARTS},
            "epoch": self.epoch,
            "best": self.best,
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),  # none without a GPU
            "numpy": self.generator.bit_generator.state,
            "drawing": self.task_rng.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restores the state of a checkpoint."""
        for name in self._PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.epoch, self.best = state["epoch"], state["best"]
        torch.set_rng_state(state["torch"])
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda"])
        self.generator.bit_generator.state = state["numpy"]
        self.task_rng.bit_generator.state = state["drawing"]


def _split_for_heads(train: Examples, heads: bool) -> tuple[Examples, Examples]:
    """(examples of the encoder, examples of the heads); the heads get none if they are off or there are too few users."""
    for_heads, has_history = train.user % COPY_USER_EVERY == COPY_USER_EVERY - 1, train.features.length > 0
    if not heads or (for_heads & has_history).sum() < COPIED:
        for_heads[:] = False
    return train.where(~for_heads), train.where(for_heads & has_history)


def _share_of_rate(step: int, total: int) -> float:
    """Linear warm-up over a tenth of the steps, then half a cosine to zero. Epochs differ by a few steps, so it may end late."""
    progress = min((step + 1) / total, 1.0)
    return (
        progress / WARM_UP
        if progress < WARM_UP
        else 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))
    )


def loss_of(model: NextItem, batch: Batch, negatives: int) -> Tensor:
    """Mean cross-entropy over all steps of the batch with a target; the padding row never competes."""
    has_target = batch.next_items > 0
    vectors, target = model.user_vectors(batch.items, batch.kinds)[has_target], batch.next_items[has_target] - 1
    table, bias = model.table()[1:], model.bias[1:]
    if not negatives or negatives >= len(table):
        return full_softmax(vectors, table, bias, target, model.scale)
    sampled = torch.randint(len(table), (negatives,), device=table.device)
    return sampled_softmax(vectors, table, bias, target, model.scale, sampled)
