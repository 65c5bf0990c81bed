"""Micro-batches bound to a device. Without a GPU the device is the CPU: padding, sizes and buffers are the same there."""

import numpy as np
import onnxruntime as ort
import pytest

from operators.model.batch_trimming import BestRows
from operators.model.gpu import cuda_batches
from operators.model.gpu.cuda_batches import CUDA, DeviceBatches
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import OUTPUTS, Scorer, choose_provider
from operators.settings import ScorerSettings
from operators.shopper.features import WINDOW, Features
from tests.places import ROOT

BUNDLE = ModelBundle.load(ROOT / "models" / "online-retail")
LARGEST = 40
on_a_gpu = pytest.mark.skipif(choose_provider("auto")[0] != CUDA, reason="no CUDA device")


def asked(users: int, seed: int = 1) -> Features:
    drawing = np.random.default_rng(seed)
    length = drawing.integers(1, WINDOW + 1, users).astype(np.int32)
    there = np.arange(WINDOW) < length[:, None]
    items = np.where(there, drawing.integers(1, len(BUNDLE.vocabulary) + 1, there.shape), 0).astype(np.int32)
    return Features(items, there.astype(np.int32), length, there.astype(np.uint32), length.astype(np.int64))


@pytest.fixture(scope="module")
def session() -> ort.InferenceSession:
    return ort.InferenceSession(BUNDLE.read_graph(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("users", [1, 8, 9, LARGEST, LARGEST + 1, 3 * LARGEST])
def test_bound_batches_answer_as_the_session_does(session: ort.InferenceSession, users: int) -> None:
    batches = DeviceBatches(session, WINDOW, BUNDLE.golden["scores"].shape[1], LARGEST, device="cpu")
    batches.run(asked(LARGEST, seed=2).inputs())  # whose users stay in the buffers behind the next ones
    inputs = asked(users).inputs()
    expected = session.run(OUTPUTS, inputs)
    found = batches.run(inputs)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-4)
    assert (found[1] == expected[1]).mean() > 0.99  # of equal scores the order is free


def test_answers_are_not_written_over_by_the_next_batch(session: ort.InferenceSession) -> None:
    batches = DeviceBatches(session, WINDOW, BUNDLE.golden["scores"].shape[1], LARGEST, device="cpu")
    first = batches.run(asked(5).inputs())
    kept = first[0].copy()
    batches.run(asked(5, seed=3).inputs())
    np.testing.assert_array_equal(first[0], kept)


def test_a_graph_that_cannot_be_recorded_runs_without_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*asked: object) -> tuple[str, str]:
        if asked[-1] == "1":
            raise RuntimeError("a node has no kernel there")
        return "session", "run"

    monkeypatch.setattr(cuda_batches, "_opened", opened)
    found = cuda_batches.on_cuda(BUNDLE.read_graph(), ort.SessionOptions(), WINDOW, 100, LARGEST)
    assert found == ("session", "run", ", without CUDA graphs: a node has no kernel there")


@on_a_gpu
@pytest.mark.parametrize("users", [1, 8, 100, 128, 300])
def test_a_gpu_gives_the_lists_of_a_cpu(users: int) -> None:
    features = asked(users)
    found = _scored(features, "cuda")
    expected = _scored(features, "cpu")
    np.testing.assert_allclose(found[0], expected[0], atol=1e-3)
    assert (found[1] == expected[1]).mean() > 0.99


def _scored(features: Features, provider: str) -> BestRows:
    settings = ScorerSettings.model_validate({"provider": provider, "require_gpu": provider == "cuda"})
    return Scorer(BUNDLE, settings).score(features)
