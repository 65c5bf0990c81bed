"""Converts the item table of a bundle's graph to float16: half the bytes on disk and on the network.

A CPU still computes in float32: ONNX Runtime widens the table once, when it loads the graph.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model_export.bundles.graph import TABLE, table_of


def halve_table(source: bytes, target: Path) -> None:
    """Writes the graph `source` with its item table in float16 to `target`. Raises `BundleError` if it has no float32 table.

    The rows have unit length, so all values fit into float16, with a relative error of at most 2^-11.
    """
    model = onnx.load_model_from_string(source)
    table = table_of(model)
    values = numpy_helper.to_array(table).astype(np.float16)
    model.graph.initializer.remove(table)
    model.graph.initializer.append(numpy_helper.from_array(values, "table16"))
    model.graph.node.insert(0, helper.make_node("Cast", ["table16"], [TABLE], to=TensorProto.FLOAT))
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
