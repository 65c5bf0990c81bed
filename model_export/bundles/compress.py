"""Compresses a bundle: the same model with the item table in int8 or float16."""

from pathlib import Path
from typing import Any

import numpy as np

from model_export.bundles.bundle_folder import new_bundle, write_manifest
from model_export.bundles.export import run_graph
from model_export.bundles.halve import halve_table
from model_export.bundles.quantize import quantize_table
from model_export.bundles.training_weights import FILE as WEIGHTS
from operators.errors import BundleError
from operators.model.bundle_files import BundleFiles, read_manifest
from operators.model.click_head import OUTPUT as CLICKS
from operators.model.model_bundle import GRAPH, INCREMENTAL, ModelBundle
from operators.model.scorer import INPUTS, OUTPUTS

STEPS = {"int8": quantize_table, "float16": halve_table}
# rounding to int8 makes a visible step of the last bit by which a cached state may differ: such a bundle has no incremental graph
EXACT = ("float16",)


def compressed_bundle(source: Path, out: Path, precision: str) -> tuple[dict[str, Any], float]:
    """Writes the bundle with its item table in a precision of `STEPS`: (manifest, kept share of the golden top 20, 0 to 1).

    It has golden scores of its own. Raises `BundleError` if the source is invalid or already compressed.
    """
    bundle = ModelBundle.load(source)
    with new_bundle(out) as part_folder:
        BundleFiles(source, bundle.manifest).copy(part_folder)
        STEPS[precision](bundle.read_graph(), part_folder / GRAPH)
        (part_folder / INCREMENTAL).unlink(missing_ok=True)
        (part_folder / WEIGHTS).unlink(missing_ok=True)  # a training goes on from the source, not from rounded vectors
        if precision in EXACT and (incremental := bundle.read_incremental()):
            STEPS[precision](incremental, part_folder / INCREMENTAL)
        outputs = OUTPUTS if bundle.clicks is None else [*OUTPUTS, CLICKS]
        answers = run_graph(part_folder / GRAPH, {name: bundle.golden[name] for name in INPUTS}, outputs)
        for name, answer in zip(outputs, answers, strict=True):
            np.save(part_folder / f"golden_{name}.npy", answer, allow_pickle=False)
        manifest = bundle.manifest | {"precision": f"{precision} item table", "made_from": bundle.version}
        write_manifest(part_folder, {k: v for k, v in manifest.items() if k not in ("version", "created", "files")})
    return read_manifest(out), overlap(bundle.golden["rows"], answers[1])


def overlap(before: np.ndarray, after: np.ndarray, k: int = 20) -> float:
    """Mean share of the `k` best rows [B, K] of `before` that are among the `k` best of `after`."""
    pairs = zip(before[:, :k].tolist(), after[:, :k].tolist(), strict=True)
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in pairs]))


def bytes_of(folder: Path) -> int:
    """The bytes of all files of a bundle."""
    if not folder.is_dir():
        raise BundleError("a bundle folder", str(folder), "name one with --bundle")
    return sum(file.stat().st_size for file in folder.iterdir())
