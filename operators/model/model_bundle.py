"""A model bundle: an immutable folder with the graph, its items, its fallbacks, golden scores and a manifest.

| file | holds |
|---|---|
| manifest.json | name, version, sha256 of every file, opset, inputs, outputs, window W, hop, training window, metrics |
| model.onnx | the graph: `items`, `kinds` int32 [B, W], `length` int32 [B] -> `scores` float32 [B, K], `rows` int32 [B, K] |
| incremental.onnx | the graph that goes on from kept states (`operators/model/incremental.py`), if the encoder has one |
| items.json | item ids; row i + 1 of the model is the i-th |
| vectors.npy | float16 [N + 1, d], item vectors for reasons and diversity |
| popular.npy, trending.npy | int32 rows, best first |
| neighbours.npy | int32 [N + 1, M], the nearest items of each row, 0 where there is none |
| reference.json | distributions of features and scores in the training window, for drift (older bundles have none) |
| query_buckets.npy, query_vectors.npy | the query tower (`operators/model/query_tower.py`), if the training learned one |
| click_calibration.npy, golden_clicks.npy | calibration and golden vectors of the click head (`operators/model/click_head.py`), if the training learned one |
| golden_*.npy | inputs and outputs that the serving machine must reproduce |
"""

import io
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from operators.errors import BundleError
from operators.model.bundle_files import FIX, MAX_FILE, BundleFiles, json_of
from operators.model.bundle_signature import signed_manifest
from operators.model.click_head import CALIBRATION, ClickHead
from operators.model.graph_check import refuse_other_files
from operators.model.query_tower import BUCKETS, QueryTower
from operators.model.query_tower import FILES as QUERY_FILES
from operators.model.reference import FILE as REFERENCE
from operators.model.reference import Bins, load_reference
from operators.records.contracts import Id
from operators.shopper.features import WINDOW, Vocabulary
from operators.shopper.state_layout import HISTORY

log = logging.getLogger(__name__)
GRAPH, INCREMENTAL, ITEMS = "model.onnx", "incremental.onnx", "items.json"
ARRAYS = ("vectors", "popular", "trending", "neighbours")
GOLDEN = ("items", "kinds", "length", "rows", "scores")
MAX_ITEMS = 5_000_000  # their vectors fill the largest file that a bundle allows
MAX_GOLDEN = 16 << 20  # bytes of each golden array: the graph runs on all of them before it serves
MAX_REFERENCE = 1 << 20  # bytes
_npy: Any = np.lib.format
_HEADERS = {(1, 0): _npy.read_array_header_1_0, (2, 0): _npy.read_array_header_2_0}
_decode_items = msgspec.json.Decoder(list[Id]).decode


@dataclass(frozen=True)
class ModelBundle:
    """A verified bundle in memory, but for its graph. Arrays are indexed by model row; row 0 is padding."""

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
    hop: int = 1  # `operators.shopper.features.window_starts`
    queries: QueryTower | None = None
    clicks: ClickHead | None = None

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def version(self) -> str:
        return str(self.manifest["version"])

    @property
    def graph_sum(self) -> str:
        return str(self.manifest["files"][GRAPH])

    def read_graph(self) -> bytes:
        """The bytes of the graph, as the manifest has their sum, for a session (`operators.model.onnx_session`).

        They may be hundreds of MB: do not keep them. Raises `BundleError`, also where the graph reads other files.
        """
        return self._read_graph(GRAPH)

    def read_incremental(self) -> bytes | None:
        """As `read_graph`, the incremental graph; None where the bundle has none."""
        return self._read_graph(INCREMENTAL) if INCREMENTAL in self.manifest["files"] else None

    def _read_graph(self, name: str) -> bytes:
        graph = BundleFiles(self.folder, self.manifest).read(name)
        refuse_other_files(graph)
        return graph

    @classmethod
    def load(cls, folder: Path, public_keys: Sequence[str] = ()) -> "ModelBundle":
        """Reads and verifies a bundle: manifest, hashes, shapes, finite numbers; with `public_keys` its signature too. Raises
        `BundleError`.

        All but the graphs, which only the scorer opens: `read_graph` and `operators.model.scorer` verify them.
        """
        files = BundleFiles(folder, signed_manifest(folder, public_keys))
        manifest = files.manifest
        if GRAPH not in manifest["files"]:
            raise BundleError(f"{GRAPH} in the bundle's manifest", "none", FIX)
        item_ids = _read_items(files)
        arrays = {name: _read_array(files, f"{name}.npy") for name in ARRAYS}
        golden = {name: _read_array(files, f"golden_{name}.npy", MAX_GOLDEN) for name in GOLDEN}
        arrays["vectors"] = _finite("item vectors", arrays["vectors"])
        _check_shapes(len(item_ids), arrays)
        window, hop = _checked_window(manifest, golden)
        reference, queries = _read_reference(files), _read_queries(files, arrays["vectors"])
        clicks = _read_clicks(files, arrays["vectors"], golden)
        files.verify_others(GRAPH, INCREMENTAL)
        if unlisted := files.unlisted():
            log.warning("not of the bundle, and not read: %s in %s", ", ".join(unlisted)[:200], folder)
        return cls._of(folder, manifest, item_ids, arrays, golden, reference, window, hop, queries, clicks)

    @classmethod
    def load_fallbacks(cls, folder: Path) -> "ModelBundle":
        """The usable part of a refused bundle: items, popular and neighbours if their hashes match, else nothing.

        For serving fallbacks only; its graph must not be run.
        """
        try:
            files = BundleFiles(folder)
            manifest, item_ids = files.manifest, _read_items(files)
            arrays = {name: _read_array(files, f"{name}.npy") for name in ARRAYS}
            arrays["vectors"] = np.nan_to_num(_float32(arrays["vectors"]))
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
        hop: int = 1,
        queries: QueryTower | None = None,
        clicks: ClickHead | None = None,
    ) -> "ModelBundle":
        return cls(
            folder=folder,
            manifest=manifest,
            vocabulary=Vocabulary(item_ids),
            vectors=_float32(arrays["vectors"]),
            popular=arrays["popular"].astype(np.int32),
            trending=arrays["trending"].astype(np.int32),
            neighbours=arrays["neighbours"].astype(np.int32),
            golden=golden,
            reference=reference or {},
            window=window,
            hop=hop,
            queries=queries,
            clicks=clicks,
        )


def _read_reference(files: BundleFiles) -> dict[str, Bins]:
    if REFERENCE not in files.manifest["files"]:
        return {}
    return load_reference(json_of(REFERENCE, files.read(REFERENCE, MAX_REFERENCE)))


def _read_queries(files: BundleFiles, items: npt.NDArray[Any]) -> QueryTower | None:
    names = [f"{name}.npy" for name in QUERY_FILES]
    if not files.manifest["files"].keys() & set(names):
        return None
    buckets, vectors = (_read_array(files, name) for name in names)
    rising = buckets.ndim == 1 and bool((np.diff(buckets) > 0).all())
    if not rising or buckets.dtype.kind not in "iu" or (buckets.size and not 0 < buckets[0] <= buckets[-1] <= BUCKETS):
        raise BundleError(
            f"rising buckets of 1 to {BUCKETS} in query_buckets.npy", f"{buckets.dtype} {buckets.shape}", FIX
        )
    if vectors.shape != (len(buckets) + 1, items.shape[1]):
        raise BundleError(f"query vectors of shape [{len(buckets) + 1}, {items.shape[1]}]", str(vectors.shape), FIX)
    return QueryTower(buckets.astype(np.int32), _finite("query vectors", vectors))


def _read_clicks(files: BundleFiles, items: npt.NDArray[Any], golden: dict[str, npt.NDArray[Any]]) -> ClickHead | None:
    """The click head; its golden vectors are added to `golden`."""
    if f"{CALIBRATION}.npy" not in files.manifest["files"]:
        return None
    points = _finite(CALIBRATION, _read_array(files, f"{CALIBRATION}.npy", MAX_GOLDEN))
    if points.ndim != 2 or len(points) != 2 or not points.size or (np.diff(points) < 0).any():
        raise BundleError(
            f"rising logits and probabilities of shape [2, n] in {CALIBRATION}.npy", str(points.shape), FIX
        )
    if not 0 <= points[1, 0] <= points[1, -1] <= 1:
        raise BundleError(f"probabilities of 0 to 1 in {CALIBRATION}.npy", f"{points[1, 0]} to {points[1, -1]}", FIX)
    golden["clicks"] = _read_array(files, "golden_clicks.npy", MAX_GOLDEN)
    shape = len(golden["scores"]), items.shape[1] + 1
    if golden["clicks"].shape != shape:
        raise BundleError(f"golden click vectors of shape {shape}", str(golden["clicks"].shape), FIX)
    return ClickHead(_float32(items), points)


def _read_items(files: BundleFiles) -> list[str]:
    try:
        item_ids = _decode_items(files.read(ITEMS))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BundleError(f"an array of item ids in {ITEMS}", str(error)[:200], FIX) from error
    if len(item_ids) > MAX_ITEMS:
        raise BundleError(f"at most {MAX_ITEMS} items", f"{len(item_ids)}", FIX)
    if len(set(item_ids)) < len(item_ids):
        raise BundleError(f"each item once in {ITEMS}", f"{len(item_ids) - len(set(item_ids))} twice", FIX)
    return item_ids


def _read_array(files: BundleFiles, name: str, limit: int = MAX_FILE) -> npt.NDArray[Any]:
    """An array over the bytes that were hashed: numpy itself would allocate whatever a header asks for."""
    content = files.read(name, limit)
    stream = io.BytesIO(content)
    try:
        shape, by_columns, dtype = _HEADERS[_npy.read_magic(stream)](stream)
    except Exception as error:  # numpy names EOFError, ValueError, SyntaxError, tokenize.TokenError and more
        raise BundleError(f"an array of numbers in {name}", repr(error)[:200], FIX) from error
    count, begin = math.prod(shape), stream.tell()
    if dtype.kind not in "fiu":
        raise BundleError(f"an array of plain numbers, without pickle, in {name}", str(dtype), FIX)
    if min(shape, default=0) < 0 or len(content) - begin != count * dtype.itemsize:
        raise BundleError(f"{name} to hold what its header says", f"{dtype} {shape} in {len(content)} bytes", FIX)
    numbers = np.frombuffer(content, dtype, count, begin)
    return numbers.reshape(shape, order="F" if by_columns else "C")


def _checked_window(manifest: dict[str, Any], golden: dict[str, npt.NDArray[Any]]) -> tuple[int, int]:
    """(window, hop)."""
    window, hop = manifest.get("window", WINDOW), manifest.get("hop", 1)
    if type(window) is not int or not 0 < window <= HISTORY:
        raise BundleError(f"a window of 1 to {HISTORY} steps in manifest.json", repr(window), FIX)
    if type(hop) is not int or not 0 < hop <= window:
        raise BundleError(f"a hop of 1 to {window} steps in manifest.json", repr(hop), FIX)
    if golden["items"].shape[1:] != (window,) or not golden["items"].size:
        raise BundleError(f"golden items of shape [B, {window}]", str(golden["items"].shape), FIX)
    if golden["scores"].ndim != 2 or not golden["scores"].size:
        raise BundleError("golden scores of shape [B, K]", str(golden["scores"].shape), FIX)
    return window, hop


def _float32(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def _finite(what: str, array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    numbers = _float32(array)
    if not np.isfinite(numbers).all():
        raise BundleError(f"finite {what}", "NaN or infinity", FIX)
    return numbers


def _check_shapes(items: int, arrays: dict[str, npt.NDArray[Any]]) -> None:
    rows = items + 1
    for name in ("vectors", "neighbours"):
        if arrays[name].ndim != 2 or len(arrays[name]) != rows:
            raise BundleError(f"{name}.npy of shape [{rows}, n]", str(arrays[name].shape), FIX)
    for name in ("popular", "trending", "neighbours"):
        if arrays[name].size and not 0 <= arrays[name].min() <= arrays[name].max() < rows:
            raise BundleError(f"rows of 0 to {items} in {name}.npy", "a row out of range", FIX)
