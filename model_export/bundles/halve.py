"""Half precision for the item table of a bundle's graph: half the bytes to keep and to ship.

A CPU computes in float32 as before: ONNX Runtime widens the table once, when it loads the graph.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model_export.bundles.graph import TABLE, table_of


def halve_table(source: bytes, target: Path) -> None:
    """Writes the graph `source` with its item table in float16 to `target`; raises `BundleError` where it has none.

    The table's rows have unit length, so no value leaves the range of float16 and each is off by 2^-11 of itself at most.
    """
    model = onnx.load_model_from_string(source)
    table = table_of(model)
    values = numpy_helper.to_array(table).astype(np.float16)
    model.graph.initializer.remove(table)
    model.graph.initializer.append(numpy_helper.from_array(values, "table16"))
    model.graph.node.insert(0, helper.make_node("Cast", ["table16"], [TABLE], to=TensorProto.FLOAT))
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
