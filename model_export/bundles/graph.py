"""Exports a trained model as an ONNX graph, without traces of the exporting machine."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.export import Dim

from model_export.bundles.opaque_gru import opaque
from model_export.bundles.two_stage_top import suit_top
from model_export.models.encoders import NextItem
from model_export.models.exported import (
    IncrementalWeightedSum,
    TopK,
    click_head,
    example_inputs,
    incremental,
    incremental_inputs,
)
from operators.errors import BundleError
from operators.model.click_head import OUTPUT as CLICKS
from operators.model.incremental import KEY_OUTPUTS
from operators.model.incremental import OUTPUTS as INCREMENTAL_OUTPUTS
from operators.model.scorer import OUTPUTS

OPSET = 18
TABLE = "model.items.weight"
MOST_ROWS = 50_000  # of an incremental graph: with more the item product takes nearly all of the time, and the table much memory


def export_graph(model: NextItem, top: int, file: Path) -> None:
    """The ONNX graph, without the exporter's stack traces (they hold paths of this machine).

    int32 items, kinds [B, W], length [B] -> `outputs_of(model)`: float32 scores, int32 rows [B, top], …. W may be any number up to the model's
    window, so that short batches cost less (`operators/model/batch_trimming.py`).
    """
    batch, window = Dim("batch"), Dim("window", max=model.window)
    steps = {0: batch, 1: window} if model.window > 1 else {0: batch}
    shapes = {"items": steps, "kinds": steps, "length": {0: batch}}
    _export(model, TopK(model.eval(), top), example_inputs(model.window), shapes, outputs_of(model), file)
    graph = onnx.load(str(file))
    share_table(graph.graph)
    suit_top(graph.graph, rows_of(graph.graph), top)
    strip_traces(graph)
    onnx.save(graph, str(file))


def outputs_of(model: NextItem) -> list[str]:
    """The outputs of the model's graph."""
    return [*OUTPUTS, *_clicks(model)]


def _clicks(model: NextItem) -> list[str]:
    return [] if click_head(model) is None else [CLICKS]


def export_incremental(model: NextItem, file: Path) -> None:
    """The graph of `operators/model/incremental.py`; no file for an encoder without one, and for a catalogue so large that
    the item product leaves nothing to gain."""
    module = incremental(model.eval())
    if module is None or len(model.bias) > MOST_ROWS:
        return
    batch, window, new, held = (Dim(name) for name in ("batch", "window", "new", "held"))
    steps, users = {0: batch, 1: window}, {0: batch}
    shapes = {
        "items": steps,
        "kinds": steps,
        "length": users,
        "known": users,
        "new": {0: batch, 1: new},
        "state": users,
    }
    outputs = INCREMENTAL_OUTPUTS
    if isinstance(module, IncrementalWeightedSum):
        shapes["keys"], outputs = {0: batch, 1: held}, outputs + KEY_OUTPUTS
    _export(model, module, incremental_inputs(module), shapes, outputs + _clicks(model), file)
    graph = onnx.load(str(file))
    share_table(graph.graph)
    strip_traces(graph)
    onnx.save(graph, str(file))


def _export(
    model: NextItem,
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    shapes: dict[str, dict[int, Any]],
    outputs: list[str],
    file: Path,
) -> None:
    # the exporter warns of optional packages that are not installed
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings(), opaque(model) as translated:
        warnings.simplefilter("ignore")  # torch's exporter warns of its own internals
        torch.onnx.export(
            module,
            inputs,
            str(file),
            input_names=list(shapes),
            output_names=outputs,
            dynamic_shapes=shapes,
            opset_version=OPSET,
            custom_translation_table=translated,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def strip_traces(model: onnx.ModelProto) -> None:
    """Removes the exporter's metadata, which holds paths of this machine."""
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.functions):
        del part.metadata_props[:]
    for function in model.functions:
        for node in function.node:
            del node.metadata_props[:]


def share_table(graph: onnx.GraphProto) -> None:
    """Removes the transposed copy of a small table, half of the file; a Transpose node computes it instead."""
    table = next(tensor for tensor in graph.initializer if tensor.name == TABLE)
    values = numpy_helper.to_array(table)
    for tensor in [
        tensor for tensor in graph.initializer if tuple(tensor.dims) == values.T.shape and tensor.name != TABLE
    ]:
        if np.array_equal(numpy_helper.to_array(tensor), values.T):
            graph.initializer.remove(tensor)
            graph.node.insert(0, helper.make_node("Transpose", [TABLE], [tensor.name], perm=[1, 0]))


def rows_of(graph: onnx.GraphProto) -> int:
    """The number of rows of the item table, with the padding row."""
    return int(next(tensor for tensor in graph.initializer if tensor.name == TABLE).dims[0])


def table_of(model: onnx.ModelProto) -> onnx.TensorProto:
    """The float32 item table of a graph. Raises `BundleError` when it is missing: the graph is compressed already."""
    for tensor in model.graph.initializer:
        if tensor.name == TABLE:
            return tensor
    raise BundleError(f"a graph with the initializer {TABLE}", "none of that name", "compress the bundle in float32")
