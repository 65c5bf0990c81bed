"""A model bundle: an immutable folder with the graph, its items, its fallbacks, golden scores and a manifest.

| file | holds |
|---|---|
| manifest.json | name, version, sha256 of every file, opset, inputs, outputs, window W, training window, metrics |
| model.onnx | the graph: `items`, `kinds` int32 [B, W], `length` int32 [B] -> `scores` float32 [B, K], `rows` int32 [B, K] |
| items.json | item ids; row i + 1 of the model is the i-th |
| vectors.npy | float16 [N + 1, d], item vectors for reasons and diversity |
| popular.npy, trending.npy | int32 rows, best first |
| neighbours.npy | int32 [N + 1, M], the nearest items of each row, 0 where there is none |
| reference.json | what the model saw and said in its training window, for drift (older bundles have none) |
| query_buckets.npy, query_vectors.npy | what places a query among the items (`operators/query_tower.py`), where that was learned |
| golden_*.npy | inputs and outputs that the serving machine must reproduce |
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.drift import FILE as REFERENCE
from operators.drift import Bins, load_reference
from operators.errors import BundleError
from operators.features import WINDOW, Vocabulary
from operators.query_tower import BUCKETS, QueryTower
from operators.query_tower import FILES as QUERY_FILES
from operators.state_layout import HISTORY

ARRAYS = ("vectors", "popular", "trending", "neighbours")
GOLDEN = ("items", "kinds", "length", "rows", "scores")
_FIX = "make the bundle again with `liveshelf train`, or name another with --bundle"


@dataclass(frozen=True)
class ModelBundle:
    """A verified bundle in memory. Arrays are indexed by model row; row 0 is padding."""

    folder: Path
    manifest: dict[str, Any]
    vocabulary: Vocabulary
    vectors: npt.NDArray[np.float32]
    popular: npt.NDArray[np.int32]
    trending: npt.NDArray[np.int32]
    neighbours: npt.NDArray[np.int32]
    golden: dict[str, npt.NDArray[Any]]
    reference: dict[str, Bins] = field(default_factory=dict)
    window: int = WINDOW
    queries: QueryTower | None = None

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def version(self) -> str:
        return str(self.manifest["version"])

    @property
    def graph(self) -> Path:
        return self.folder / "model.onnx"

    @classmethod
    def load(cls, folder: Path) -> "ModelBundle":
        """Reads and verifies a bundle: manifest, hashes, shapes, finite numbers. Raises `BundleError`."""
        manifest = read_manifest(folder)
        verify_hashes(folder, manifest)
        item_ids = _read_items(folder)
        arrays = {name: _read_array(folder / f"{name}.npy") for name in ARRAYS}
        golden = {name: _read_array(folder / f"golden_{name}.npy") for name in GOLDEN}
        _check_shapes(len(item_ids), arrays)
        window = _checked_window(manifest, golden)
        reference, queries = _read_reference(folder, manifest), _read_queries(folder, manifest, arrays["vectors"])
        return cls._of(folder, manifest, item_ids, arrays, golden, reference, window, queries)

    @classmethod
    def load_fallbacks(cls, folder: Path) -> "ModelBundle":
        """What can be trusted of a refused bundle: items, popular and neighbours if their hashes hold, else nothing.

        For serving fallbacks only; its graph must not be run.
        """
        try:
            manifest = read_manifest(folder)
            for name in ("items.json", "popular.npy", "trending.npy", "neighbours.npy", "vectors.npy"):
                _verify_file(folder, name, manifest)
            item_ids = _read_items(folder)
            arrays = {name: _read_array(folder / f"{name}.npy") for name in ARRAYS}
            arrays["vectors"] = np.nan_to_num(arrays["vectors"])
            _check_shapes(len(item_ids), arrays)
        except BundleError:
            manifest, item_ids = {"name": "none", "version": "0", "files": {}}, []
            arrays = {name: np.zeros((1, 1) if name in ("vectors", "neighbours") else 0) for name in ARRAYS}
        return cls._of(folder, manifest, item_ids, arrays, {})

    @classmethod
    def _of(
        cls,
        folder: Path,
        manifest: dict[str, Any],
        item_ids: list[str],
        arrays: dict[str, npt.NDArray[Any]],
        golden: dict[str, npt.NDArray[Any]],
        reference: dict[str, Bins] | None = None,
        window: int = WINDOW,
        queries: QueryTower | None = None,
    ) -> "ModelBundle":
        return cls(
            folder=folder,
            manifest=manifest,
            vocabulary=Vocabulary(item_ids),
            vectors=arrays["vectors"].astype(np.float32),
            popular=arrays["popular"].astype(np.int32),
            trending=arrays["trending"].astype(np.int32),
            neighbours=arrays["neighbours"].astype(np.int32),
            golden=golden,
            reference=reference or {},
            window=window,
            queries=queries,
        )


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json with its required keys; raises `BundleError`."""
    file = folder / "manifest.json"
    if not file.is_file():
        raise BundleError("a bundle folder with a manifest.json", f"none at {file}", _FIX)
    try:
        manifest = json.loads(file.read_text())
        missing = {"name", "version", "files"} - manifest.keys()
    except (ValueError, AttributeError) as error:
        raise BundleError("a JSON object in manifest.json", str(error), _FIX) from error
    if missing:
        raise BundleError("name, version and files in manifest.json", f"no {', '.join(sorted(missing))}", _FIX)
    if not isinstance(manifest["files"], dict):
        raise BundleError("files as an object in manifest.json", type(manifest["files"]).__name__, _FIX)
    return dict(manifest)


def verify_hashes(folder: Path, manifest: dict[str, Any]) -> None:
    """Every file that a bundle needs is there with the manifest's sha256; raises `BundleError`."""
    needed = ["model.onnx", "items.json", *(f"{n}.npy" for n in ARRAYS), *(f"golden_{n}.npy" for n in GOLDEN)]
    for name in needed:
        _verify_file(folder, name, manifest)


def _verify_file(folder: Path, name: str, manifest: dict[str, Any]) -> None:
    digest = manifest["files"].get(name)
    if digest is None or not (folder / name).is_file():
        raise BundleError(f"{name} in the bundle and its manifest", "none", _FIX)
    if (found := file_hash(folder / name)) != digest:
        raise BundleError(f"{name} with sha256 {digest[:12]}…", f"{found[:12]}…", _FIX)


def _read_reference(folder: Path, manifest: dict[str, Any]) -> dict[str, Bins]:
    if REFERENCE not in manifest["files"]:
        return {}
    _verify_file(folder, REFERENCE, manifest)
    try:
        return load_reference(json.loads((folder / REFERENCE).read_text()))
    except ValueError as error:
        raise BundleError(f"a JSON object in {REFERENCE}", str(error)[:200], _FIX) from error


def _read_queries(folder: Path, manifest: dict[str, Any], items: npt.NDArray[Any]) -> QueryTower | None:
    names = [f"{name}.npy" for name in QUERY_FILES]
    if not manifest["files"].keys() & set(names):
        return None
    for name in names:
        _verify_file(folder, name, manifest)
    known, vectors = (_read_array(folder / name) for name in names)
    rising = known.ndim == 1 and bool((np.diff(known) > 0).all())
    if not rising or known.dtype.kind not in "iu" or (known.size and not 0 < known[0] <= known[-1] <= BUCKETS):
        raise BundleError(
            f"rising buckets of 1 to {BUCKETS} in query_buckets.npy", f"{known.dtype} {known.shape}", _FIX
        )
    if vectors.shape != (len(known) + 1, items.shape[1]) or not np.isfinite(vectors).all():
        wanted = f"finite query vectors of shape [{len(known) + 1}, {items.shape[1]}]"
        raise BundleError(wanted, f"{vectors.shape}, or not finite", _FIX)
    return QueryTower(known.astype(np.int32), vectors.astype(np.float32))


def _read_items(folder: Path) -> list[str]:
    try:
        item_ids = json.loads((folder / "items.json").read_text())
    except ValueError as error:
        raise BundleError("a JSON array in items.json", str(error)[:200], _FIX) from error
    if not isinstance(item_ids, list) or not all(isinstance(item, str) for item in item_ids):
        raise BundleError("an array of item ids in items.json", "something else", _FIX)
    if len(set(item_ids)) < len(item_ids):
        raise BundleError("each item once in items.json", f"{len(item_ids) - len(set(item_ids))} twice", _FIX)
    return item_ids


def _read_array(file: Path) -> npt.NDArray[Any]:
    try:
        array = np.load(file, allow_pickle=False)
    except Exception as error:  # numpy names EOFError, ValueError, SyntaxError, tokenize.TokenError and more
        raise BundleError(f"an array of numbers in {file.name}", repr(error)[:200], _FIX) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise BundleError(f"an array of numbers in {file.name}", str(getattr(array, "dtype", type(array))), _FIX)
    return array


def file_hash(file: Path) -> str:
    """sha256 of a file, as hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _checked_window(manifest: dict[str, Any], golden: dict[str, npt.NDArray[Any]]) -> int:
    window = manifest.get("window", WINDOW)
    if not isinstance(window, int) or not 0 < window <= HISTORY:
        raise BundleError(f"a window of 1 to {HISTORY} steps in manifest.json", repr(window), _FIX)
    if golden["items"].shape[1:] != (window,):
        raise BundleError(f"golden items of shape [B, {window}]", str(golden["items"].shape), _FIX)
    return window


def _check_shapes(items: int, arrays: dict[str, npt.NDArray[Any]]) -> None:
    rows = items + 1
    for name in ("vectors", "neighbours"):
        if arrays[name].ndim != 2 or len(arrays[name]) != rows:
            raise BundleError(f"{name}.npy of shape [{rows}, n]", str(arrays[name].shape), _FIX)
    if not np.isfinite(arrays["vectors"]).all():
        raise BundleError("finite item vectors", "NaN or infinity", _FIX)
    for name in ("popular", "trending", "neighbours"):
        if arrays[name].size and not 0 <= arrays[name].min() <= arrays[name].max() < rows:
            raise BundleError(f"rows of 0 to {items} in {name}.npy", "a row out of range", _FIX)
