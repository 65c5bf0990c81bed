"""Computes the top-k of a graph in two stages: the best blocks of items by their maxima, then the best items of those blocks.

It is exact: the k blocks with the greatest maxima contain the k best items. (Equal scores may come in another order.)
ONNX Runtime's top-k on a GPU reads all scores many times; this reads them once.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

BLOCKS = range(24, 161)  # equally fast block sizes; `block_of` takes the one nearest to 64
WORTH_IT = 50_000  # items; with fewer, one stage is as fast


def block_of(rows: int) -> int:
    """A block size that divides the rows, because padding would copy all scores; 64 if there is none."""
    return min((size for size in BLOCKS if rows % size == 0), key=lambda size: abs(size - 64), default=64)


def suit_top(graph: onnx.GraphProto, rows: int, top: int) -> None:
    """Applies `in_two_stages` if the catalogue is large enough. `rows`: items and the padding row."""
    if rows > WORTH_IT:
        in_two_stages(graph, rows, top)


def in_two_stages(graph: onnx.GraphProto, rows: int, top: int) -> None:
    """Replaces the graph's only TopK, of `top` among float32 [B, rows]. Raises `StopIteration` if there is none."""
    node = next(node for node in graph.node if node.op_type == "TopK")
    (scores, count), (best_scores, best_rows) = node.input, node.output
    stages: list[onnx.NodeProto] = []
    size = block_of(rows)

    def constant(value: object, kind: type = np.int64) -> str:
        name = f"top_given_{len(graph.initializer)}"
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def stage(operation: str, *inputs: str, output: str = "", **settings: int) -> str:
        output = output or f"top_{len(stages)}"
        stages.append(helper.make_node(operation, list(inputs), [output], **settings))
        return output

    def top_k(scored: str, values: str, indices: str, *, ordered: int) -> str:
        stages.append(helper.make_node("TopK", [scored, count], [values, indices], axis=-1, largest=1, sorted=ordered))
        return indices

    if padding := -rows % size:
        lowest = constant(np.full((1, padding), np.finfo(np.float32).min), np.float32)
        shape = stage("Concat", stage("Gather", stage("Shape", scores), constant([0])), constant([padding]), axis=0)
        scores = stage("Concat", scores, stage("Expand", lowest, shape), axis=1)
    block = constant(size)
    blocks = stage("Reshape", scores, constant([0, -1, size]))
    best_blocks = top_k(stage("ReduceMax", blocks, constant([2]), keepdims=0), "top_maxima", "top_chosen", ordered=0)
    candidates = stage("GatherND", blocks, stage("Unsqueeze", best_blocks, constant([2])), batch_dims=1)
    position = top_k(stage("Reshape", candidates, constant([0, top * size])), best_scores, "top_place", ordered=1)
    first = stage("Mul", stage("GatherElements", best_blocks, stage("Div", position, block), axis=1), block)
    stage("Add", first, stage("Mod", position, block), output=best_rows)
    index = list(graph.node).index(node)
    graph.node.remove(node)
    for number, added in enumerate(stages):
        graph.node.insert(index + number, added)
