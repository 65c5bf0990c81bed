"""The exported graph: any length of history, and no more in it than is served."""

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from benchmarks.models.scorer import small_graph
from benchmarks.models.sized_graph import in_halves, sized
from model_export.bundles import two_stage_top
from model_export.bundles.export import run_graph
from model_export.bundles.graph import export_graph
from model_export.bundles.quantize import quantize_table
from model_export.bundles.two_stage_top import block_of, in_two_stages
from model_export.models.encoders import NextItem, build

ITEMS, WINDOW, TOP = 60, 12, 10


def frozen(name: str, *, heads: bool = True) -> NextItem:
    torch.manual_seed(2)
    model = build(name, ITEMS, 16, 0.0, WINDOW, 16.0)
    if not heads:
        model.silence()
    model.freeze()
    return model


def histories(lengths: list[int]) -> dict[str, np.ndarray]:
    length = np.array(lengths, dtype=np.int32)
    items = np.random.default_rng(4).integers(1, ITEMS + 1, (len(lengths), WINDOW), dtype=np.int32)
    items[np.arange(WINDOW) >= length[:, None]] = 0
    return {"items": items, "kinds": (items > 0).astype(np.int32), "length": length}


@pytest.mark.parametrize("name", ["weighted-sum", "pair-sum", "attention"])
def test_a_graph_need_not_see_the_padding(name: str, tmp_path: Path) -> None:
    plain, small = tmp_path / "plain.onnx", tmp_path / "int8.onnx"
    export_graph(frozen(name), TOP, plain)
    quantize_table(plain.read_bytes(), small)
    for lengths in ([1, 1], [1, 4, 5], [WINDOW]):
        padded = histories(lengths)
        cut = {name: rows[:, : max(lengths)] if rows.ndim == 2 else rows for name, rows in padded.items()}
        for graph in (plain, small):
            of_whole, of_cut = run_graph(graph, padded), run_graph(graph, cut)
            assert np.abs(of_whole[0] - of_cut[0]).max() < 1e-4


@pytest.mark.parametrize("heads", [True, False])
def test_padding_is_never_recommended_and_every_item_once(heads: bool, tmp_path: Path) -> None:
    model = frozen("weighted-sum", heads=heads)
    model.bias.data[1:] -= 100  # all worse than a row of zeros
    export_graph(model, ITEMS, tmp_path / "model.onnx")
    quantize_table((tmp_path / "model.onnx").read_bytes(), tmp_path / "int8.onnx")
    for graph in ("model.onnx", "int8.onnx"):
        _, rows = run_graph(tmp_path / graph, histories([1, 4, WINDOW]))
        assert (np.sort(rows) == np.arange(1, ITEMS + 1)).all()


@pytest.mark.parametrize(("rows", "block"), [(11 * 64, 64), (11 * 59, 59), (701, 64)])  # a prime must be filled up
def test_two_stages_find_the_same_as_one(rows: int, block: int, tmp_path: Path) -> None:
    assert block_of(rows) == block
    torch.manual_seed(2)
    model = build("weighted-sum", rows - 1, 16, 0.0, WINDOW, 16.0)
    model.freeze()
    export_graph(model, TOP, tmp_path / "one.onnx")
    graph = onnx.load(str(tmp_path / "one.onnx"))
    in_two_stages(graph.graph, rows, TOP)
    onnx.checker.check_model(graph)
    onnx.save(graph, str(tmp_path / "two.onnx"))
    inputs = histories([1, 4, WINDOW])
    (scores, rows), (same_scores, same_rows) = (run_graph(tmp_path / name, inputs) for name in ("one.onnx", "two.onnx"))
    assert (rows == same_rows).all() and (scores == same_scores).all()


def test_a_large_catalogue_has_its_top_in_two_stages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    top_nodes = []
    for worth_it in (ITEMS + 1, ITEMS):
        monkeypatch.setattr(two_stage_top, "WORTH_IT", worth_it)
        export_graph(frozen("weighted-sum"), 1, tmp_path / "model.onnx")
        top_nodes.append([node.op_type for node in onnx.load(str(tmp_path / "model.onnx")).graph.node].count("TopK"))
    assert top_nodes == [1, 2]


def test_a_model_without_heads_is_served_without_them(tmp_path: Path) -> None:
    names = {}
    for heads in (True, False):
        export_graph(frozen("weighted-sum", heads=heads), TOP, tmp_path / "model.onnx")
        names[heads] = {tensor.name for tensor in onnx.load(str(tmp_path / "model.onnx")).graph.initializer}
    assert any("transitions" in name for name in names[True]) and any("copy" in name for name in names[True])
    assert not any("transitions" in name or "copy" in name for name in names[False])


# seen on CUDA, recorded as a CUDA graph, with ONNX Runtime 1.31 (docs/notebook/gpu.md, 2026-11-26)
ON_GPUS = re.findall(
    r"\w+",
    "Abs Add Cast Clip Concat Div Equal Exp Expand GRU Gather GatherElements GatherND Gemm Greater Less Log MatMul Max Mod Mul "
    "Neg Not Or Range ReduceL2 ReduceMax ReduceSum Reshape ScatterElements Shape Sigmoid Slice Softmax Squeeze Sub TopK Transpose "
    "Unsqueeze Where",
)


def test_a_graph_has_operations_that_gpus_have_kernels_for(tmp_path: Path) -> None:
    graph = onnx.load(str(small_graph(tmp_path, 128, 1_008))).graph
    in_two_stages(graph, 1_009, TOP)  # a prime
    new = {node.op_type for node in graph.node} - {*ON_GPUS}
    assert not new, "run `liveshelf bench scorer --provider cuda` where a GPU is, then add them"
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    looked_up = [kinds.get(node.input[0]) for node in graph.node if node.op_type == "GatherND"]
    assert onnx.TensorProto.INT32 not in looked_up, "no kernel for it: its CPU detour forbids CUDA graphs"


def test_a_small_graph_grows_to_any_number_of_items(tmp_path: Path) -> None:
    small, large, halves = (tmp_path / f"{name}.onnx" for name in ("small", "large", "halves"))
    export_graph(frozen("weighted-sum"), TOP, small)
    sized(small, ITEMS, 20 * ITEMS, large, TOP)
    in_halves(large, halves)
    scores, rows = run_graph(large, histories([3, WINDOW, 5]))
    assert rows.max() > ITEMS and len(np.unique(rows)) > TOP
    np.testing.assert_allclose(run_graph(halves, histories([3, WINDOW, 5]))[0], scores, atol=0.05)
    session = ort.InferenceSession(str(large), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", "window"]
