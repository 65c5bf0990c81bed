"""The top-k of a graph in two stages: the best blocks of items by their maxima, then the best items of those blocks.

It is exact: an item among the k best can only lie in one of the k blocks with the greatest maxima, for each of any other k
holds an item at least as good. (Equal scores may be taken in another order.) ONNX Runtime's top-k on a GPU goes over all
scores again and again; this does once.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

BLOCKS = range(24, 161)  # sizes that are as good as each other; the nearest to the middle is taken
WORTH_IT = 50_000  # items; with fewer, one stage is as fast


def block_of(rows: int) -> int:
    """A size that divides the rows, so that nothing has to be filled up: that copies all scores. 64 where none does."""
    return min((size for size in BLOCKS if rows % size == 0), key=lambda size: abs(size - 64), default=64)


def suit_top(graph: onnx.GraphProto, rows: int, top: int) -> None:
    """`in_two_stages` where the catalogue is large enough; `rows`: items and the padding."""
    if rows > WORTH_IT:
        in_two_stages(graph, rows, top)


def in_two_stages(graph: onnx.GraphProto, rows: int, top: int) -> None:
    """Changes the graph's only TopK: of float32 [B, rows], `top` places.

    Raises `StopIteration` where there is none.
    """
    node = next(node for node in graph.node if node.op_type == "TopK")
    (scores, places), (best_scores, best_rows) = node.input, node.output
    stages: list[onnx.NodeProto] = []
    size = block_of(rows)

    def constant(value: object, kind: type = np.int64) -> str:
        name = f"top_given_{len(graph.initializer)}"
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def stage(operation: str, *inputs: str, to: str = "", **settings: int) -> str:
        to = to or f"top_{len(stages)}"
        stages.append(helper.make_node(operation, list(inputs), [to], **settings))
        return to

    def best(of: str, values: str, indices: str, *, ordered: int) -> str:
        stages.append(helper.make_node("TopK", [of, places], [values, indices], axis=-1, largest=1, sorted=ordered))
        return indices

    if missing := -rows % size:
        worst = constant(np.full((1, missing), np.finfo(np.float32).min), np.float32)
        shape = stage("Concat", stage("Gather", stage("Shape", scores), constant([0])), constant([missing]), axis=0)
        scores = stage("Concat", scores, stage("Expand", worst, shape), axis=1)
    block = constant(size)
    blocks = stage("Reshape", scores, constant([0, -1, size]))
    chosen = best(stage("ReduceMax", blocks, constant([2]), keepdims=0), "top_maxima", "top_chosen", ordered=0)
    few = stage("GatherND", blocks, stage("Unsqueeze", chosen, constant([2])), batch_dims=1)
    place = best(stage("Reshape", few, constant([0, top * size])), best_scores, "top_place", ordered=1)
    first = stage("Mul", stage("GatherElements", chosen, stage("Div", place, block), axis=1), block)
    stage("Add", first, stage("Mod", place, block), to=best_rows)
    at = list(graph.node).index(node)
    graph.node.remove(node)
    for number, added in enumerate(stages):
        graph.node.insert(at + number, added)
