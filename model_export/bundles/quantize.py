"""Quantises the item table of a bundle's graph to int8: a quarter of the bytes, and integer products.

The table has nearly all bytes and takes most of the time; the encoder stays float32. The whole table has one scale:
its rows have unit length, so a scale for each row would gain little.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model_export.bundles.graph import TABLE, table_of
from operators.errors import BundleError

MIDDLE = 128  # user vectors are shifted to unsigned, which CPUs multiply fastest


def quantize_table(source: bytes, target: Path) -> None:
    """Writes the graph `source` with its item table in int8 to `target`. Raises `BundleError` if it has no float32 table.

    x = scale * q, q = round(x / scale) in -127 to 127 (symmetric; Jacob et al., CVPR 2018). Each user vector gets its own
    scale. ONNX's `DynamicQuantizeLinear` takes one scale for the micro-batch, so a user's scores would depend on the
    other users in it.
    """
    model = onnx.load_model_from_string(source)
    graph = model.graph
    table = table_of(model)
    graph.initializer.remove(table)
    graph.initializer.extend(_constants(numpy_helper.to_array(table)))
    nodes, transposed = [], set()
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] == TABLE:
            node.input[0] = "table8"
            rows, node.output[0] = node.output[0], f"{node.output[0]}_8"
            nodes += [node, helper.make_node("DequantizeLinear", [node.output[0], "table_scale"], [rows])]
        elif node.op_type == "Transpose" and node.input[0] == TABLE:
            node.input[0] = "table8"
            transposed.add(node.output[0])
            nodes.append(node)
        elif node.op_type == "MatMul" and node.input[1] in transposed:
            nodes += _integer_product(node)
        else:
            nodes.append(node)
    if not transposed or any(TABLE in node.input for node in nodes):
        raise BundleError(
            "a graph that looks up its table and multiplies by it", "another use of it", "report this graph"
        )
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


def _constants(table: np.ndarray) -> list[TensorProto]:
    """The quantised table, its scale, and the constants of `_integer_product`."""
    scale = np.float32(max(np.abs(table).max(), 1e-12) / 127)
    constants = {
        "table8": np.clip(np.rint(table / scale), -127, 127).astype(np.int8),
        "table_scale": scale,
        "table_zero": np.int8(0),
        "wanted_zero": np.uint8(MIDDLE),
        "middle": np.float32(MIDDLE),
        "steps": np.float32(127),
        "least": np.float32(1e-12),
        "of_user": np.array([-1], dtype=np.int64),
    }
    return [numpy_helper.from_array(array, name) for name, array in constants.items()]


def _integer_product(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    vectors, product = node.input[0], node.output[0]
    return [
        helper.make_node("Abs", [vectors], ["wanted_size"]),
        helper.make_node("ReduceMax", ["wanted_size", "of_user"], ["wanted_most"], keepdims=1),
        helper.make_node("Max", ["wanted_most", "least"], ["wanted_range"]),
        helper.make_node("Div", ["wanted_range", "steps"], ["wanted_scale"]),
        helper.make_node("Div", [vectors, "wanted_scale"], ["wanted_steps"]),
        helper.make_node("Round", ["wanted_steps"], ["wanted_rounded"]),
        helper.make_node("Add", ["wanted_rounded", "middle"], ["wanted_positive"]),
        helper.make_node("Cast", ["wanted_positive"], ["wanted8"], to=TensorProto.UINT8),
        helper.make_node("MatMulInteger", ["wanted8", node.input[1], "wanted_zero", "table_zero"], ["product32"]),
        helper.make_node("Cast", ["product32"], ["product"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["wanted_scale", "table_scale"], ["product_scale"]),
        helper.make_node("Mul", ["product", "product_scale"], [product]),
    ]
