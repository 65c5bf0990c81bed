"""Encoders of a shopper's last steps into a user vector. Input and output share one item table.

A score is the cosine of user vector and item vector, times a scale, plus the item's bias. Without unit length frequent
items would win by the length of their vectors (NISER: Gupta et al., 2019).
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from model_export.models.copying import MASKED, CopyHead, combined
from model_export.models.transitions import TransitionHead
from operators.shopper.features import WINDOW
from operators.shopper.user_state import KINDS


class NextItem(nn.Module, ABC):
    """items, kinds int [B, W], right-padded with 0 -> a user vector of unit length after each step."""

    def __init__(self, items: int, width: int, dropout: float, window: int, scale: float) -> None:
        super().__init__()
        self.window, self.scale = window, scale
        self._frozen = self._silent = False
        self.items = nn.Embedding(items + 1, width, padding_idx=0)
        self.kinds = nn.Embedding(len(KINDS) + 1, width, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.bias = nn.Parameter(torch.zeros(items + 1))
        self.copy = CopyHead(width, window)
        self.transitions = TransitionHead(items, width)
        self.tasks = nn.ModuleDict()  # heads of `model_export/models/tasks.py`, by name
        nn.init.normal_(self.items.weight, std=width**-0.5)
        nn.init.zeros_(self.kinds.weight)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.bias.device

    def table(self) -> Tensor:
        """float [N + 1, width]: item vectors of unit length, row 0 zero."""
        return self.items.weight if self._frozen else nn.functional.normalize(self.items.weight, dim=-1)

    def freeze(self) -> None:
        """Ends the training: applies unit length and trust to the weights once instead of at each call; row 0 never wins."""
        self.items.weight.data = self.table().detach()
        trust = self.copy.trust.item()
        self.scale, self.bias.data = self.scale * trust, self.bias.detach() * trust
        self.bias.data[0] = MASKED
        self._frozen = True

    def grow(self, vectors: Tensor, bias: Tensor) -> None:
        """Appends items to a frozen model: vectors float [M, width] of unit length, bias [M]. They have no followers."""
        self.items = nn.Embedding.from_pretrained(torch.cat((self.items.weight.data, vectors)), padding_idx=0)
        self.bias.data = torch.cat((self.bias.data, bias))
        self.transitions.grow(len(bias))

    def steps(self, items: Tensor, kinds: Tensor) -> Tensor:
        """float [B, W, width]: the encoder's inputs."""
        vectors = self.items(items)
        if not self._frozen:
            vectors = nn.functional.normalize(vectors, dim=-1)
        return self.dropout(vectors + self.kinds(kinds))

    @abstractmethod
    def encoded(self, steps: Tensor) -> Tensor:
        """float [B, W, width]: the state after each input; no step may see a later one."""

    def user_vectors(self, items: Tensor, kinds: Tensor) -> Tensor:
        """The user vector after each step, float [B, W, width] of unit length."""
        return nn.functional.normalize(self.encoded(self.steps(items, kinds)), dim=-1)

    def at_last(self, steps: Tensor, last: Tensor) -> Tensor:
        """float [B, width]: `encoded` at step `last` int [B] of each user; encoders override it with a cheaper way."""
        return states_at(self.encoded(steps), last)

    def state_after_last(self, items: Tensor, kinds: Tensor, length: Tensor) -> Tensor:
        """float [B, width]: the state after each user's last step, not normalised."""
        return self.at_last(self.steps(items, kinds), length.long() - 1)

    def after_last(self, items: Tensor, kinds: Tensor, length: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The encoder's own scores after each user's last step, float [B, N + 1], and the arguments of `competing`.

        `length` int [B], at least 1.
        """
        steps, last = self.steps(items, kinds), length.long() - 1
        state = self.at_last(steps, last)
        return self.own_scores(state), (state, steps, items, last)

    def own_scores(self, state: Tensor) -> Tensor:
        """float [B, N + 1]: the encoder's own scores of a state, float [B, width]."""
        return (self.scale * nn.functional.normalize(state, dim=-1)) @ self.table().T + self.bias

    def competing(self, state: Tensor, steps: Tensor, items: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Rows int64 [B, C] and logits of the steps and followers, which compete with the encoder's scores."""
        followers, of_followers = self.transitions(state, items.gather(1, last[:, None])[:, 0])
        copies = self.copy(state, steps, items, last)
        return torch.cat((items, followers), 1), torch.cat((copies, of_followers), 1)

    def scores(self, items: Tensor, kinds: Tensor, length: Tensor) -> Tensor:
        """float [B, N + 1] after each user's last step; `length` int [B], at least 1."""
        own, context = self.after_last(items, kinds, length)
        return self.with_heads(own, *context)

    def with_heads(self, own: Tensor, state: Tensor, steps: Tensor, items: Tensor, last: Tensor) -> Tensor:
        """float [B, N + 1]: the encoder's own scores and the heads in one softmax, unless the heads are off."""
        if self._silent:
            return own
        rows, logits = self.competing(state, steps, items, last)
        return combined(own if self._frozen else self.copy.trust * own, logits, rows)

    def silence(self) -> None:
        """Turns the heads off, also in the exported graph: they are unwanted, or there are no users to learn them from."""
        self._silent = True
        self.copy.silence()
        self.transitions.silence()

    @property
    def silent(self) -> bool:
        """Whether the heads are off."""
        return self._silent

    def heads(self) -> list[nn.Parameter]:
        """The weights that learn from users whom the encoder does not see."""
        return [*self.copy.parameters(), *self.transitions.parameters()]


def states_at(states: Tensor, positions: Tensor) -> Tensor:
    """The states at one position of each row: float [B, W, width] and int [B] -> float [B, width]."""
    return states.gather(1, positions[:, None, None].expand(-1, 1, states.shape[2]))[:, 0]


class Gru(NextItem):
    """GRU4Rec's family: a GRU whose state is projected into the space of the items."""

    def __init__(
        self, items: int, width: int = 64, dropout: float = 0.3, window: int = WINDOW, scale: float = 16.0
    ) -> None:
        super().__init__(items, width, dropout, window, scale)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.project = nn.Linear(width, width)

    def encoded(self, steps: Tensor) -> Tensor:
        """The projected states."""
        states, _ = self.gru(steps)
        return self.project(self.dropout(states))


class WeightedSum(NextItem):
    """CORE's idea (Hou et al., SIGIR 2022): the user vector is a weighted sum of the steps' item vectors.

    The weights are NARM's attention (Li et al., CIKM 2017) of the last state over all states; the projected state is added.
    """

    def __init__(
        self, items: int, width: int = 64, dropout: float = 0.3, window: int = WINDOW, scale: float = 16.0
    ) -> None:
        super().__init__(items, width, dropout, window, scale)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.key = nn.Linear(width, width, bias=False)
        self.query = nn.Linear(width, width)
        self.weight = nn.Linear(width, 1, bias=False)
        self.project = nn.Linear(width, width)

    def encoded(self, steps: Tensor) -> Tensor:
        """Each step weighs those until itself."""
        states = self._states(steps)
        mixed = torch.sigmoid(self.key(states)[:, None, :, :] + self.query(states)[:, :, None, :])
        weights = self.weight(mixed).squeeze(-1)  # [B, at, of]
        positions = torch.arange(steps.shape[1], device=steps.device)
        weights = weights.masked_fill(positions[None, :] > positions[:, None], MASKED).softmax(
            -1
        )  # padding is later than all
        return weights @ steps + self.project(states)

    def at_last(self, steps: Tensor, last: Tensor) -> Tensor:
        """As `encoded`, without the weights of the other steps."""
        states = self._states(steps)
        last_states = states_at(states, last)
        return self.mixed(self.weights(self.key(states), last_states), steps, last_states, last)

    def weights(self, keys: Tensor, last_states: Tensor) -> Tensor:
        """float [B, W]: a logit for each of the keys, float [B, W, width], from the last state, float [B, width]."""
        logits: Tensor = self.weight(torch.sigmoid(keys + self.query(last_states)[:, None, :])).squeeze(-1)
        return logits

    def mixed(self, logits: Tensor, steps: Tensor, last_states: Tensor, last: Tensor) -> Tensor:
        """float [B, width]: the sum of the steps until `last`, weighed by these logits, float [B, W], and the projected state."""
        positions = torch.arange(steps.shape[1], device=steps.device)
        weights = logits.masked_fill(positions > last[:, None], MASKED).softmax(-1)
        projected: Tensor = self.project(last_states)
        return (weights[:, None, :] @ steps)[:, 0] + projected

    def _states(self, steps: Tensor) -> Tensor:
        states, _ = self.gru(steps)
        dropped: Tensor = self.dropout(states)
        return dropped


class PairSum(NextItem):
    """The sum of `WeightedSum`, with states that depend only on a step and the one before it: no recurrence, and no keys.

    The weights are products with the last state, as in attention, plus a term by age.
    """

    def __init__(
        self, items: int, width: int = 64, dropout: float = 0.3, window: int = WINDOW, scale: float = 16.0
    ) -> None:
        super().__init__(items, width, dropout, window, scale)
        self.now, self.before = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.query = nn.Linear(width, width)
        self.by_age = nn.Parameter(torch.zeros(window))
        self.project = nn.Linear(width, width)

    def encoded(self, steps: Tensor) -> Tensor:
        """Each step weighs those until itself."""
        states = self._states(steps)
        positions = torch.arange(steps.shape[1], device=steps.device)
        age = positions[:, None] - positions[None, :]
        weights = self._shares(self.query(states) @ states.transpose(1, 2), age)  # [B, at, of]
        return weights @ steps + self.project(states)

    def at_last(self, steps: Tensor, last: Tensor) -> Tensor:
        """As `encoded`, without the weights of the other steps."""
        states = self._states(steps)
        last_states = states_at(states, last)
        age = last[:, None] - torch.arange(steps.shape[1], device=steps.device)
        weights = self._shares((self.query(last_states)[:, None, :] @ states.transpose(1, 2))[:, 0], age)
        return (weights[:, None, :] @ steps)[:, 0] + self.project(last_states)

    def _states(self, steps: Tensor) -> Tensor:
        before = torch.cat((steps[:, :1] * 0, steps[:, :-1]), 1)
        dropped: Tensor = self.dropout(nn.functional.silu(self.now(steps) + self.before(before)))
        return dropped

    def _shares(self, logits: Tensor, age: Tensor) -> Tensor:
        """The weights sum to 1 over the steps until the state; padding is later than all steps."""
        return (logits + self.by_age[age.clamp(min=0)]).masked_fill(age < 0, MASKED).softmax(-1)


class Block(nn.Module):
    """Pre-norm causal attention with a gated output, then a SwiGLU layer; padding on the right needs no mask."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix = nn.Linear(width, 4 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """float [B, W, width] -> float [B, W, width]."""
        batch, steps, width = states.shape
        query, key, value, gate = self.mix(self.before(states)).chunk(4, dim=-1)
        split = (part.view(batch, steps, self.heads, -1).transpose(1, 2) for part in (query, key, value))
        attended = nn.functional.scaled_dot_product_attention(*split, is_causal=True)
        attended = attended.transpose(1, 2).reshape(batch, steps, width)
        states = states + self.dropout(self.out(attended * torch.sigmoid(gate)))
        value, gate = self.up(self.between(states)).chunk(2, dim=-1)
        return states + self.dropout(self.down(value * nn.functional.silu(gate)))


class Attention(NextItem):
    """SASRec's family (Kang and McAuley, ICDM 2018): causal attention blocks over steps and positions."""

    def __init__(
        self, items: int, width: int = 128, dropout: float = 0.3, window: int = 50, scale: float = 16.0
    ) -> None:
        super().__init__(items, width, dropout, window, scale)
        self.places = nn.Embedding(window, width)
        nn.init.normal_(self.places.weight, std=0.02)
        self.blocks = nn.Sequential(*(Block(width, 2, dropout) for _ in range(2)))

    def encoded(self, steps: Tensor) -> Tensor:
        """The output of the blocks."""
        return self.blocks(steps + self.places.weight[: steps.shape[1]])


ENCODERS = {"gru": Gru, "weighted-sum": WeightedSum, "pair-sum": PairSum, "attention": Attention}


def build(name: str, items: int, width: int, dropout: float, window: int, scale: float) -> NextItem:
    """An encoder of `ENCODERS` with new weights."""
    return ENCODERS[name](items, width, dropout, window, scale)
