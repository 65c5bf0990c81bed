"""The exported graph: any length of history, and no more in it than is served."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from model_export.bundles.export import run_graph
from model_export.bundles.graph import export_graph
from model_export.bundles.quantize import quantize_table
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


@pytest.mark.parametrize("name", ["weighted-sum", "attention"])
def test_a_graph_need_not_see_the_padding(name: str, tmp_path: Path) -> None:
    plain, small = tmp_path / "plain.onnx", tmp_path / "int8.onnx"
    export_graph(frozen(name), TOP, plain)
    quantize_table(plain, small)
    for lengths in ([1, 1], [1, 4, 5], [WINDOW]):
        whole = histories(lengths)
        cut = {name: rows[:, : max(lengths)] if rows.ndim == 2 else rows for name, rows in whole.items()}
        for graph in (plain, small):
            of_whole, of_cut = run_graph(graph, whole), run_graph(graph, cut)
            assert np.abs(of_whole[0] - of_cut[0]).max() < 1e-4


def test_a_model_without_heads_is_served_without_them(tmp_path: Path) -> None:
    kept = {}
    for heads in (True, False):
        export_graph(frozen("weighted-sum", heads=heads), TOP, tmp_path / "model.onnx")
        kept[heads] = {one.name for one in onnx.load(str(tmp_path / "model.onnx")).graph.initializer}
    assert any("transitions" in name for name in kept[True]) and any("copy" in name for name in kept[True])
    assert not any("transitions" in name or "copy" in name for name in kept[False])
