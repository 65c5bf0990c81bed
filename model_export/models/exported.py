"""The modules that are exported as graphs of a frozen model: the full pass, and one that goes on from kept states.

The second computes the new steps of a user alone, and gives the scores of the first. `operators/model/incremental.py` runs
it, `operators/model/encoder_cache.py` keeps the states. Attention and PairSum have none: they run on GPUs, or need no
recurrence.
"""

import torch
from torch import Tensor, nn

from model_export.models.click_head import ClickHead
from model_export.models.encoders import Gru, NextItem, WeightedSum
from model_export.models.session_task import SessionTask


def click_head(model: NextItem) -> ClickHead | None:
    """The click head of a model that learned the session task."""
    head: ClickHead | None = model.tasks[SessionTask.name].clicks if SessionTask.name in model.tasks else None
    return head


class TopK(nn.Module):
    """The exported module: the k best rows of a frozen model, best first, and the user's vector of its click head. It also sorts the padding row, because a cut would
    copy all scores, a tenth of the time with 100,000 items."""

    def __init__(self, model: NextItem, k: int) -> None:
        super().__init__()
        self.model = model
        self.clicks = click_head(model)
        self.k = k

    def forward(self, items: Tensor, kinds: Tensor, length: Tensor) -> tuple[Tensor, ...]:
        """int32 [B, W] twice and int32 [B] -> float32 [B, k], int32 [B, k] and, with a click head, float32 [B, width + 1]."""
        own, context = self.model.after_last(items.long(), kinds.long(), length)
        scores, rows = torch.topk(self.model.with_heads(own, *context), self.k)
        return (scores, rows.int()) if self.clicks is None else (scores, rows.int(), self.clicks(context[0]))


def example_inputs(window: int, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs for the exporter, with the right shapes and types."""
    items = torch.ones((batch, window), dtype=torch.int32)
    return items, items.clone(), torch.full((batch,), 3, dtype=torch.int32)


class Incremental(nn.Module):
    """items, kinds int32 [B, W]; length, known int32 [B]; new int32 [B, S], the places of the new steps, from `known` on;
    state float [B, width]: the hidden state after step `known`, zero where that is 0.

    `forward` gives float [B, N + 1], the scores of all items, and the hidden state after the last step. Without known steps it
    is the full pass. The last output is the user's vector of the click head, where the model has one.
    """

    def __init__(self, model: Gru | WeightedSum) -> None:
        super().__init__()
        self.model = model
        self.clicks = click_head(model)

    def hidden(self, items: Tensor, kinds: Tensor, new: Tensor, state: Tensor) -> Tensor:
        """float [B, S, width]: the hidden state after each new step."""
        states: Tensor = self.model.gru(self.model.steps(items.gather(1, new), kinds.gather(1, new)), state[None])[0]
        return states

    def scores(self, user_state: Tensor, steps: Tensor, items: Tensor, last: Tensor) -> Tensor:
        """float [B, N + 1], as `NextItem.scores`."""
        return self.model.with_heads(self.model.own_scores(user_state), user_state, steps, items, last)

    def clicks_of(self, user_state: Tensor) -> tuple[Tensor, ...]:
        """The output of the click head, if there is one."""
        return () if self.clicks is None else (self.clicks(user_state),)


class IncrementalGru(Incremental):
    """A GRU keeps its hidden state alone."""

    model: Gru

    def forward(
        self, items: Tensor, kinds: Tensor, length: Tensor, known: Tensor, new: Tensor, state: Tensor
    ) -> tuple[Tensor, ...]:
        """(all scores, the hidden state after the last step)."""
        items, kinds, length, known, new = (indices.long() for indices in (items, kinds, length, known, new))
        last_state = _newest(state, self.hidden(items, kinds, new, state), length - known)
        user_state = self.model.project(last_state)
        scores = self.scores(user_state, self.model.steps(items, kinds), items, length - 1)
        return scores, last_state, *self.clicks_of(user_state)


class IncrementalWeightedSum(Incremental):
    """The weights need the key of every step: `keys` float [B, H, width], H at least the greatest `known`."""

    model: WeightedSum

    def forward(
        self, items: Tensor, kinds: Tensor, length: Tensor, known: Tensor, new: Tensor, state: Tensor, keys: Tensor
    ) -> tuple[Tensor, ...]:
        """(all scores, the hidden state after the last step, the keys of the new steps [B, S, width])."""
        items, kinds, length, known, new = (indices.long() for indices in (items, kinds, length, known, new))
        states = self.hidden(items, kinds, new, state)
        last_state, new_keys = _newest(state, states, length - known), self.model.key(states)
        of_keys = (self.model.weights(keys, last_state), self.model.weights(new_keys, last_state))
        logits = _by_step(*of_keys, known, items.shape[1])
        steps = self.model.steps(items, kinds)
        user_state = self.model.mixed(logits, steps, last_state, length - 1)
        scores = self.scores(user_state, steps, items, length - 1)
        return scores, last_state, new_keys, *self.clicks_of(user_state)


def incremental(model: NextItem) -> Incremental | None:
    """The module that goes on from kept states; None for an encoder without one."""
    if isinstance(model, WeightedSum):
        return IncrementalWeightedSum(model)
    return IncrementalGru(model) if isinstance(model, Gru) else None


def _newest(state: Tensor, states: Tensor, count: Tensor) -> Tensor:
    """The state after `count` [B] of the new steps, float [B, S, width]; `state` [B, width] where there are none."""
    places = torch.arange(count.shape[0], device=count.device) * (states.shape[1] + 1) + count
    return torch.cat((state[:, None], states), 1).flatten(0, 1).index_select(0, places)


def _by_step(kept: Tensor, new: Tensor, known: Tensor, window: int) -> Tensor:
    """float [B, W] from those of the kept steps [B, H], of which `known` [B] count, and of the new ones after them [B, S]."""
    places, known = torch.arange(window, device=known.device)[None], known[:, None]
    columns = torch.where(places < known, places, places - known + kept.shape[1])
    return torch.cat((kept, new), 1).gather(1, columns.clamp(max=kept.shape[1] + new.shape[1] - 1))


def incremental_inputs(module: Incremental) -> tuple[Tensor, ...]:
    """As `example_inputs`, of an incremental module: two users with 4 known steps and 3 new ones."""
    users, held, width = 2, 4, module.model.gru.hidden_size
    items = torch.ones((users, 9), dtype=torch.int32)
    known = torch.full((users,), held, dtype=torch.int32)
    new = (torch.arange(3, dtype=torch.int32) + held).expand(users, 3).contiguous()
    inputs = (items, items.clone(), known + 3, known, new, torch.zeros(users, width))
    return (*inputs, torch.zeros(users, held + 1, width)) if isinstance(module, IncrementalWeightedSum) else inputs
