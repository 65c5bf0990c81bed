"""Exports a trained model as a bundle folder (ONNX graph, arrays, golden scores, manifest) and checks it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from scipy import sparse

from model_export.bundles.bundle_folder import new_bundle, write_manifest
from model_export.bundles.click_points import Calibration, add_click_calibration, uncalibrated
from model_export.bundles.graph import OPSET, export_graph, export_incremental, outputs_of
from model_export.bundles.reference import add_reference
from model_export.bundles.training_weights import FILE as WEIGHTS
from model_export.bundles.training_weights import write_weights
from model_export.data.dataset import Examples
from model_export.data.transition_counts import transition_counts
from model_export.measures.training_log import TrainingLog
from model_export.models.click_head import CANDIDATES
from model_export.models.encoders import NextItem
from model_export.models.exported import TopK, click_head
from model_export.models.search_task import SearchTask
from operators.errors import BundleError
from operators.model.bundle_files import read_manifest
from operators.model.click_head import CALIBRATION
from operators.model.model_bundle import GRAPH, INCREMENTAL
from operators.model.query_tower import FILES as QUERY_FILES
from operators.model.scorer import INPUTS, OUTPUTS
from operators.model.unit_rows import unit_rows
from operators.shopper.features import Vocabulary
from operators.time_units import DAY_MS

NEIGHBOURS = 20
GOLDEN = 64
PARITY = 1e-3


def export_bundle(
    model: NextItem,
    words: Vocabulary,
    train: Examples,
    questions: Examples,
    folder: Path,
    facts: dict[str, Any],
    training_log: TrainingLog | None = None,
    *,
    fallbacks: dict[str, np.ndarray] | None = None,
    calibration: Calibration | None = None,
) -> dict[str, Any]:
    """Writes the bundle, compares torch with ONNX Runtime, runs all checks of the scorer, and returns the manifest.

    `fallbacks`: popular, trending and neighbours in place of those that `train` gives. `calibration`: of the click
    head; None: on `questions`, which are all of their sessions.
    Raises `BundleError` when a check fails or the disk is full; the previous content of `folder` then stays.
    """
    top = min(CANDIDATES, len(words))
    with new_bundle(folder) as part_folder:
        export_graph(model, top, part_folder / GRAPH)
        export_incremental(model, part_folder / INCREMENTAL)
        golden = questions.where(np.arange(min(GOLDEN, len(questions)))).features.inputs()
        scores, rows, *clicks = run_graph(part_folder / GRAPH, golden, outputs_of(model))
        check_parity(model, golden, scores, rows, top)
        arrays = {"vectors": table_vectors(model)} | (
            _fallbacks(model, words, train) if fallbacks is None else fallbacks
        )
        arrays |= {f"golden_{name}": value for name, value in golden.items()}
        arrays |= {"golden_scores": scores, "golden_rows": rows} | _query_arrays(model)
        arrays |= _click_arrays(model, *clicks)
        for name, value in arrays.items():
            np.save(part_folder / f"{name}.npy", value, allow_pickle=False)
        write_weights(model, part_folder / WEIGHTS)
        if training_log is not None:
            training_log.write(part_folder / "training.jsonl")
        (part_folder / "items.json").write_text(json.dumps(words.item_ids))
        form = {"opset": OPSET, "inputs": INPUTS, "outputs": outputs_of(model), "window": model.window}
        write_manifest(part_folder, form | {"candidates": top, "items": len(words), **facts})
        add_reference(part_folder, train)
        add_click_calibration(part_folder, calibration or Calibration(questions, questions))
    return read_manifest(folder)


def check_parity(
    model: NextItem, inputs: dict[str, np.ndarray], scores: np.ndarray, rows: np.ndarray, top: int
) -> None:
    """Raises `BundleError` if the k best scores of torch and ONNX Runtime differ by more than `PARITY`."""
    with torch.inference_mode():
        expected, *_ = TopK(model, top)(*(torch.from_numpy(inputs[name]) for name in INPUTS))
        all_scores = model.scores(*(torch.from_numpy(inputs[name]).long() for name in INPUTS)).numpy()
    of_rows = np.take_along_axis(all_scores, rows, axis=1)
    difference = max(float(np.abs(expected.numpy() - scores).max()), float(np.abs(of_rows - scores).max()))
    if not difference <= PARITY:
        raise BundleError(
            f"torch and ONNX Runtime within {PARITY}", f"{difference}", "try another opset or torch version"
        )


def run_graph(graph: Path, inputs: dict[str, np.ndarray], outputs: list[str] = OUTPUTS) -> list[np.ndarray]:
    """The outputs of an ONNX graph outside a bundle; scores and rows are the first."""
    session = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    answers: list[np.ndarray] = session.run(outputs, inputs)
    return answers


def table_vectors(model: NextItem) -> np.ndarray:
    """float16 [N + 1, d]: the item vectors as a bundle holds them."""
    vectors: np.ndarray = model.table().detach().numpy().astype(np.float16)
    return vectors


def _fallbacks(model: NextItem, words: Vocabulary, train: Examples) -> dict[str, np.ndarray]:
    week = train.time_ms.max() - 7 * DAY_MS
    recent = np.bincount(train.target[train.time_ms > week], minlength=len(words) + 1).astype(np.float64)
    all_time = np.bincount(train.target, minlength=len(words) + 1).astype(np.float64)
    popular = np.argsort(-(recent + all_time / (all_time.sum() + 1)), kind="stable")
    return {
        "popular": popular[popular > 0].astype(np.int32),
        "trending": trending_rows(recent, all_time),
        "neighbours": neighbours(table_vectors(model).astype(np.float32), transition_counts(train, len(words))),
    }


def trending_rows(recent: np.ndarray, all_time: np.ndarray) -> np.ndarray:
    """int32 rows whose share of the recent events rose most above their share of all, at most 100. Counts by row."""
    # with a prior of 20 events
    rise = (recent + 20 * all_time / all_time.sum()) / (
        all_time / all_time.sum() * recent.sum() + 20 * all_time / all_time.sum() + 1e-9
    )
    rise[recent < 10] = 0
    rows = [row for row in np.argsort(-rise, kind="stable")[:100].tolist() if rise[row] > 1.5]
    return np.array(rows, dtype=np.int32)


def _query_arrays(model: NextItem) -> dict[str, np.ndarray]:
    """The arrays of the query tower; empty when the model has none."""
    if SearchTask.name not in model.tasks:
        return {}
    tower = model.tasks[SearchTask.name].tower()
    return dict(zip(QUERY_FILES, (tower.buckets, tower.vectors.astype(np.float16)), strict=True))


def _click_arrays(model: NextItem, *clicks: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of the click head; empty when the model has none. `clicks`: its golden vectors."""
    head = click_head(model)
    return {} if head is None else {CALIBRATION: uncalibrated(head), "golden_clicks": clicks[0]}


def neighbours(vectors: np.ndarray, counts: sparse.csr_matrix) -> np.ndarray:
    """int32 [N + 1, NEIGHBOURS]: the items that most often followed each item; vector similarity breaks ties and fills up.

    `counts` [N + 1, N + 1]: how often item j (column) followed item i.
    """
    unit, items = unit_rows(vectors), len(vectors) - 1
    nearest = np.zeros((items + 1, NEIGHBOURS), dtype=np.int32)
    for start in range(1, items + 1, 512):
        rows = np.arange(start, min(start + 512, items + 1))
        strength = np.asarray(counts[rows].todense()) + 0.5 * (unit[rows] @ unit.T)
        strength[np.arange(len(rows)), rows] = -np.inf
        strength[:, 0] = -np.inf
        count = min(NEIGHBOURS, items - 1)
        top_rows = (
            np.argpartition(-strength, count - 1, axis=1)[:, :count]
            if count > 0
            else np.zeros((len(rows), 0), dtype=int)
        )
        order = np.argsort(-np.take_along_axis(strength, top_rows, axis=1), axis=1, kind="stable")
        nearest[rows, :count] = np.take_along_axis(top_rows, order, axis=1)
    return nearest
