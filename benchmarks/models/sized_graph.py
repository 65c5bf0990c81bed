"""Makes a graph of any number of items from a small one: the time depends on shapes, not on weights."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def sized(small: Path, small_items: int, items: int, target: Path, top: int) -> None:
    """Writes the graph `small` of `small_items` items to `target` with `items` items and `top` results.

    Floats are random with the same deviation; other values are repeated. For a million items the exporter needs minutes and
    several copies of the table; this needs seconds and one copy.
    """
    from model_export.bundles.two_stage_top import suit_top

    model = onnx.load(str(small))
    drawing = np.random.default_rng(7)
    for tensor in model.graph.initializer:
        if not tensor.dims or tensor.dims[0] != small_items + 1:
            continue
        values = numpy_helper.to_array(tensor)
        shape = (items + 1, *values.shape[1:])
        if values.dtype == np.float32:
            larger = drawing.standard_normal(shape, dtype=np.float32) * values[1:].std() + values[1:].mean()
            larger[0] = values[0]  # the padding row must not win
        else:
            larger = np.resize(values, shape)
        tensor.CopyFrom(numpy_helper.from_array(larger, tensor.name))
    del model.graph.value_info[:]  # shapes of the small graph
    suit_top(model.graph, items + 1, top)
    onnx.save(model, str(target))


def in_halves(source: Path, target: Path) -> None:
    """Writes the graph with the product of user vectors and item table in float16, for a GPU's tensor cores."""
    from model_export.bundles.graph import table_of

    model = onnx.load(str(source))
    table, nodes, transposed = table_of(model), [], ""
    halves = numpy_helper.from_array(numpy_helper.to_array(table).astype(np.float16), "table16")
    for node in model.graph.node:
        if node.op_type == "Transpose" and node.input[0] == table.name:
            node.input[0], transposed = halves.name, node.output[0]
            nodes.append(node)
        elif node.op_type == "MatMul" and node.input[1] == transposed:
            vectors, product = node.input[0], node.output[0]
            nodes += [
                helper.make_node("Cast", [vectors], ["wanted16"], to=TensorProto.FLOAT16),
                helper.make_node("MatMul", ["wanted16", transposed], ["product16"]),
                helper.make_node("Cast", ["product16"], [product], to=TensorProto.FLOAT),
            ]
        elif node.op_type == "Gather" and node.input[0] == table.name:
            rows, node.output[0] = node.output[0], "found16"
            node.input[0] = halves.name
            nodes += [node, helper.make_node("Cast", ["found16"], [rows], to=TensorProto.FLOAT)]
        else:
            nodes.append(node)
    model.graph.initializer.remove(table)
    model.graph.initializer.append(halves)
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
