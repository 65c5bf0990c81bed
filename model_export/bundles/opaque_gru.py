"""A GRU that the exporter treats as one operation, so that the graph takes histories of any length.

torch's exporter unrolls a GRU over the steps of its example, so the number of steps becomes a constant. The opaque
operation is written to the graph as ONNX's own GRU.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from model_export.models.encoders import NextItem


@torch.library.custom_op("liveshelf::gru", mutates_args=())
def states_of(steps: Tensor, inputs: Tensor, recurrent: Tensor, biases: Tensor) -> Tensor:
    """float [B, W, d] -> the state after each step, [B, W, h]. Weights in ONNX's layout: direction first, gates z, r, n."""
    return _states(steps, inputs, recurrent, biases, steps.new_zeros(1, len(steps), recurrent.shape[2]))


@states_of.register_fake
def _(steps: Tensor, inputs: Tensor, recurrent: Tensor, biases: Tensor) -> Tensor:
    return steps.new_empty(steps.shape[0], steps.shape[1], recurrent.shape[2])


@torch.library.custom_op("liveshelf::gru_from", mutates_args=())
def states_from(steps: Tensor, inputs: Tensor, recurrent: Tensor, biases: Tensor, initial: Tensor) -> Tensor:
    """As `states_of`, from the state `initial` [1, B, h] on."""
    return _states(steps, inputs, recurrent, biases, initial)


@states_from.register_fake
def _(steps: Tensor, inputs: Tensor, recurrent: Tensor, biases: Tensor, initial: Tensor) -> Tensor:
    return steps.new_empty(steps.shape[0], steps.shape[1], recurrent.shape[2])


def _states(steps: Tensor, inputs: Tensor, recurrent: Tensor, biases: Tensor, initial: Tensor) -> Tensor:
    parts = [
        *(_gates(weights[0]) for weights in (inputs, recurrent)),
        *(_gates(weights) for weights in biases[0].chunk(2)),
    ]
    states: Tensor = torch.gru(steps, initial.contiguous(), parts, True, 1, 0.0, False, False, True)[0]
    return states


def _gates(weights: Tensor) -> Tensor:
    """torch's order of the gates r, z, n <-> ONNX's z, r, n."""
    first, second, third = weights.chunk(3)
    return torch.cat((second, first, third))


class OpaqueGru(nn.Module):
    """Computes the same as a one-layer `nn.GRU` with the batch first."""

    def __init__(self, gru: nn.GRU) -> None:
        super().__init__()
        weights = {name: parameter.detach() for name, parameter in gru.named_parameters()}
        self.register_buffer("inputs", _gates(weights["weight_ih_l0"])[None])
        self.register_buffer("recurrent", _gates(weights["weight_hh_l0"])[None])
        biases = (_gates(weights["bias_ih_l0"]), _gates(weights["bias_hh_l0"]))
        self.register_buffer("biases", torch.cat(biases)[None])

    def forward(self, steps: Tensor, initial: Tensor | None = None) -> tuple[Tensor, None]:
        """float [B, W, d] -> the states [B, W, h], from zero or from `initial` [1, B, h] on."""
        if initial is None:
            return states_of(steps, self.inputs, self.recurrent, self.biases), None
        return states_from(steps, self.inputs, self.recurrent, self.biases, initial), None


@contextlib.contextmanager
def opaque(model: NextItem) -> Iterator[dict[Any, Callable[..., Any]]]:
    """Replaces the model's GRU, if it has one, by an `OpaqueGru` inside this block; yields the exporter's translation table."""
    gru = getattr(model, "gru", None)
    if not isinstance(gru, nn.GRU):
        yield {}
        return
    from onnxscript import opset18 as op

    def translation(steps: Any, inputs: Any, recurrent: Any, biases: Any) -> Any:
        return translation_from(steps, inputs, recurrent, biases, None)

    def translation_from(steps: Any, inputs: Any, recurrent: Any, biases: Any, initial: Any) -> Any:
        """ONNX's GRU has the steps first, and its states have an axis for the direction."""
        first = op.Transpose(steps, perm=[1, 0, 2])
        # without lengths: all users have as many steps
        weights = (inputs, recurrent, biases) if initial is None else (inputs, recurrent, biases, None, initial)
        states, _ = op.GRU(first, *weights, hidden_size=gru.hidden_size, linear_before_reset=1)
        return op.Transpose(op.Squeeze(states, op.Constant(value_ints=[1])), perm=[1, 0, 2])

    model.gru = OpaqueGru(gru)
    try:
        yield {
            torch.ops.liveshelf.gru.default: translation,
            torch.ops.liveshelf.gru_from.default: translation_from,
        }
    finally:
        model.gru = gru
