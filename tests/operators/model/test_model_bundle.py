import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from operators.errors import BundleError, StackError
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer, choose_provider
from operators.settings import ScorerSettings
from tests.builders import write_bundle, write_manifest
from tests.places import ROOT

WIDTH = 2  # of the vectors of `write_bundle`


def open_scorer(folder: Path) -> Scorer:
    return Scorer(ModelBundle.load(folder), ScorerSettings(provider="cpu"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


def test_a_good_bundle_passes_all_checks(folder: Path) -> None:
    assert open_scorer(folder).provider == "CPUExecutionProvider"


def no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def broken_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def wrong_hash(folder: Path) -> None:
    (folder / "items.json").write_text((folder / "items.json").read_text() + " ")


def missing_graph(folder: Path) -> None:
    (folder / "model.onnx").unlink()


def wrong_shape(folder: Path) -> None:
    np.save(folder / "vectors.npy", np.zeros((3, 2), dtype=np.float16))
    write_manifest(folder)


def nan_vectors(folder: Path) -> None:
    np.save(folder / "vectors.npy", np.full((9, 2), np.nan, dtype=np.float16))
    write_manifest(folder)


def row_out_of_range(folder: Path) -> None:
    np.save(folder / "popular.npy", np.array([1, 99], dtype=np.int32))
    write_manifest(folder)


def not_a_graph(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"not a graph")
    write_manifest(folder)


def other_inputs(folder: Path) -> None:
    model = onnx.load(str(folder / "model.onnx"))
    model.graph.input[1].name = "types"
    onnx.save(model, str(folder / "model.onnx"))
    write_manifest(folder)


def nan_weights(folder: Path) -> None:
    model = onnx.load(str(folder / "model.onnx"))
    table = next(one for one in model.graph.initializer if one.name == "table")
    table.CopyFrom(onnx.numpy_helper.from_array(np.full((9, 8), np.nan, dtype=np.float32), "table"))
    onnx.save(model, str(folder / "model.onnx"))
    write_manifest(folder)


def a_name_that_is_no_text(folder: Path) -> None:
    """Found by `tests/fuzz/bundle.py`: ONNX Runtime loads the graph and only Python cannot read the name."""
    graph = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(graph.replace(b"length", b"len\xc9th"))
    write_manifest(folder)


def other_scores(folder: Path) -> None:
    np.save(folder / "golden_scores.npy", np.load(folder / "golden_scores.npy") + 0.01)
    write_manifest(folder)


def _queries(folder: Path, buckets: list[int], vectors: object) -> None:
    np.save(folder / "query_buckets.npy", np.array(buckets, dtype=np.int32))
    np.save(folder / "query_vectors.npy", np.asarray(vectors, dtype=np.float16))
    write_manifest(folder)


def queries_of_another_width(folder: Path) -> None:
    _queries(folder, [3, 9], np.ones((3, WIDTH + 1)))


def queries_of_no_bucket(folder: Path) -> None:
    _queries(folder, [0, 9], np.ones((3, WIDTH)))


def queries_out_of_order(folder: Path) -> None:
    _queries(folder, [9, 3], np.ones((3, WIDTH)))


def queries_with_nan(folder: Path) -> None:
    _queries(folder, [3, 9], np.full((3, WIDTH), np.nan))


def half_of_the_queries(folder: Path) -> None:
    _queries(folder, [3], np.ones((2, WIDTH)))
    (folder / "query_vectors.npy").unlink()


def _window(folder: Path, window: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"window": window}))


def more_steps_than_a_state_holds(folder: Path) -> None:
    _window(folder, 51)


def window_of_another_graph(folder: Path) -> None:
    _window(folder, 30)


def window_that_is_no_number(folder: Path) -> None:
    _window(folder, "all")


def _hop(folder: Path, hop: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"hop": hop}))


def a_hop_over_the_whole_window(folder: Path) -> None:
    _hop(folder, 21)


def no_hop_at_all(folder: Path) -> None:
    _hop(folder, 0)


@pytest.mark.parametrize(
    "spoil",
    [
        more_steps_than_a_state_holds, window_of_another_graph, window_that_is_no_number,
        a_hop_over_the_whole_window, no_hop_at_all,
        no_manifest, broken_manifest, wrong_hash, missing_graph, wrong_shape, nan_vectors,
        row_out_of_range, not_a_graph, other_inputs, nan_weights, other_scores,
        a_name_that_is_no_text, queries_of_another_width, queries_of_no_bucket, queries_out_of_order,
        queries_with_nan, half_of_the_queries,
    ],
)  # fmt: skip
def test_a_spoiled_bundle_is_refused(folder: Path, spoil: Callable[[Path], None]) -> None:
    spoil(folder)
    with pytest.raises(BundleError) as refused:
        open_scorer(folder)
    assert refused.value.fix


def test_the_windows_of_an_older_bundle_move_with_each_step(folder: Path) -> None:
    assert ModelBundle.load(folder).hop == 1
    _hop(folder, 10)
    assert ModelBundle.load(folder).hop == 10


def test_a_bundle_may_place_queries(folder: Path) -> None:
    assert ModelBundle.load(folder).queries is None
    _queries(folder, [3, 9], np.ones((3, WIDTH)))
    queries = ModelBundle.load(folder).queries
    assert queries is not None
    assert queries.buckets.tolist() == [3, 9]


def test_of_a_refused_bundle_what_can_be_trusted_serves_fallbacks(folder: Path) -> None:
    nan_weights(folder)
    trusted = ModelBundle.load_fallbacks(folder)
    assert trusted.popular.tolist() == list(range(1, 9))
    assert len(trusted.vocabulary) == 8


def test_of_a_bundle_without_anything_nothing_is_left_and_nothing_fails(tmp_path: Path) -> None:
    assert len(ModelBundle.load_fallbacks(tmp_path).vocabulary) == 0


def test_no_array_is_read_by_pickle(folder: Path) -> None:
    np.save(folder / "popular.npy", np.array([{}], dtype=object), allow_pickle=True)
    write_manifest(folder)
    with pytest.raises(BundleError, match="pickle"):
        ModelBundle.load(folder)


def test_a_required_gpu_that_is_not_there_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = ModelBundle.load(folder)
    with pytest.raises(StackError, match=r"GPU .*scorer\.provider = cpu"):
        Scorer(bundle, ScorerSettings(provider="cpu", require_gpu=True))
    monkeypatch.setattr(
        "operators.model.scorer.choose_provider", lambda _: ("CUDAExecutionProvider", "a device was found")
    )
    monkeypatch.setattr(ort, "InferenceSession", partial(only_on_cpu, ort.InferenceSession))
    fallen = Scorer(bundle, ScorerSettings())
    why = "CUDAExecutionProvider did not start: its libraries were not found"
    assert (fallen.provider, fallen.provider_reason) == ("CPUExecutionProvider", why)
    with pytest.raises(StackError, match="did not start"):
        Scorer(bundle, ScorerSettings(require_gpu=True))


def only_on_cpu(session: type, *arguments: object, providers: list[str], **settings: object) -> object:
    """ONNX Runtime where the libraries of every other provider are missing."""
    return session(*arguments, providers=["CPUExecutionProvider"], **settings)


@pytest.mark.parametrize("wanted", ["cuda", "tensorrt"])
def test_a_device_that_fails_is_no_fault_of_the_bundle(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wanted: str
) -> None:
    """Its memory may be another program's for a while: a refused bundle would serve no list until the job is restarted."""
    chosen = "TensorrtExecutionProvider" if wanted == "tensorrt" else "CUDAExecutionProvider"
    monkeypatch.setattr("operators.model.scorer.choose_provider", lambda _: (chosen, "a device was found"))
    monkeypatch.setattr(ort, "InferenceSession", partial(without_memory, ort.InferenceSession))
    settings = ScorerSettings(engines_dir=str(tmp_path / "engines"))
    scorer = Scorer(ModelBundle.load(folder), settings)
    why = "CUDAExecutionProvider did not start: CUBLAS failure 3: the resource allocation failed"
    assert (scorer.provider, scorer.provider_reason) == ("CPUExecutionProvider", why)
    with pytest.raises(StackError, match="CUBLAS failure 3"):
        Scorer(ModelBundle.load(folder), settings.model_copy(update={"require_gpu": True}))
    not_a_graph(folder)
    with pytest.raises(BundleError):
        Scorer(ModelBundle.load(folder), settings.model_copy(update={"require_gpu": True}))


def without_memory(session: type, *arguments: object, providers: list[object], **settings: object) -> object:
    """ONNX Runtime where another program has all of the device's memory."""
    if providers != ["CPUExecutionProvider"]:
        raise RuntimeError(
            "cuda_call.cc:154 CudaCall(int) CUBLAS failure 3: the resource allocation failed ; GPU=0 ; line=245"
        )
    return session(*arguments, providers=providers, **settings)


def test_the_provider_comes_with_its_reason() -> None:
    assert choose_provider("cpu") == ("CPUExecutionProvider", "scorer.provider = cpu")
    assert choose_provider("auto")[1]


def test_the_committed_bundle_is_whole() -> None:
    folder = ROOT / "models" / "online-retail"
    open_scorer(folder)
    metrics = json.loads((folder / "manifest.json").read_text())["metrics"]
    found, best = metrics["test"], metrics["best"]
    assert all(found[best]["NDCG@20"] >= other["NDCG@20"] for other in found.values())
