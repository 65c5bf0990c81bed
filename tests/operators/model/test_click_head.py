"""The click head: logits against their formula, and bundles whose head is not whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.errors import BundleError
from operators.model.bundle_files import MANIFEST, file_hash
from operators.model.click_head import NONE, STEPS, ClickHead, in_steps, packed
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.settings import ScorerSettings
from tests.builders import write_bundle

CALIBRATION = np.array([[-2.0, 0.0], [0.1, 0.5]], dtype=np.float32)


def test_a_logit_is_the_log_share_and_the_product_with_the_user() -> None:
    drawing = np.random.default_rng(0)
    vectors = drawing.normal(size=(9, 4)).astype(np.float32)
    clicks = drawing.normal(size=(2, 5)).astype(np.float32)
    scores = -np.sort(-drawing.normal(size=(2, 6))).astype(np.float32)
    rows = drawing.integers(1, 9, (2, 6)).astype(np.int32)
    logits = ClickHead(vectors, CALIBRATION).logits(clicks, scores, rows, scores)
    for user in range(2):
        share = np.log(np.exp(scores[user]) / np.exp(scores[user]).sum())
        expected = share + vectors[rows[user]] @ clicks[user, :4] + clicks[user, 4]
        np.testing.assert_allclose(logits[user], expected, atol=1e-5)


@given(st.lists(st.floats(-50, 50), min_size=2))
def test_a_greater_logit_never_has_a_smaller_probability(logits: list[float]) -> None:
    probabilities = ClickHead(np.zeros((1, 1), np.float32), CALIBRATION).probabilities(np.sort(logits))
    assert (np.diff(probabilities) >= 0).all()
    assert probabilities.min() >= np.float32(0.1) and probabilities.max() <= 0.5


def test_steps_have_four_digits_and_fit_two_bytes() -> None:
    assert in_steps(np.array([0.0, 0.05123, 1.0, np.nan])).tolist() == [0, 512, STEPS, 0]
    assert np.frombuffer(packed(np.array([512, NONE], dtype=np.int32)), "<u2").tolist() == [512, 0xFFFF]


def spoiled(folder: Path, name: str, values: np.ndarray) -> Path:
    """A bundle with a click head, one of whose arrays is another."""
    write_bundle(folder, with_clicks=True)
    np.save(folder / f"{name}.npy", values)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][f"{name}.npy"] = file_hash(folder / f"{name}.npy")
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("click_calibration", np.array([[0.0, 1.0], [0.5, 0.4]]), "rising logits"),
        ("click_calibration", np.array([[1.0, 0.0], [0.4, 0.5]]), "rising logits"),
        ("click_calibration", np.array([0.4, 0.5]), "rising logits"),
        ("click_calibration", np.zeros((2, 0)), "rising logits"),
        ("click_calibration", np.array([[0.0, 1.0], [0.5, 1.5]]), "probabilities of 0 to 1"),
        ("click_calibration", np.array([[0.0, 1.0], [0.5, np.nan]]), "finite"),
        ("golden_clicks", np.zeros((2, 4), np.float32), "golden click vectors of shape"),
    ],
)
def test_a_head_that_is_not_whole_is_refused(tmp_path: Path, name: str, values: np.ndarray, expected: str) -> None:
    with pytest.raises(BundleError, match=expected):
        ModelBundle.load(spoiled(tmp_path / "bundle", name, values))


def test_another_device_must_give_the_golden_click_vectors(tmp_path: Path) -> None:
    bundle = ModelBundle.load(spoiled(tmp_path / "bundle", "golden_clicks", np.ones((2, 3), np.float32)))
    with pytest.raises(BundleError, match="golden click vectors within"):
        Scorer(bundle, ScorerSettings(provider="cpu"))


def test_a_graph_with_click_vectors_needs_their_calibration(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", with_clicks=True)
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"]["click_calibration.npy"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="a graph"):
        Scorer(ModelBundle.load(folder), ScorerSettings(provider="cpu"))
