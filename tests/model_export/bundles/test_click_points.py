"""A bundle with a click head: it serves what torch computes, lists stay the same, and its calibration comes true."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from model_export.bundles.compress import compressed_bundle
from model_export.bundles.export import export_bundle
from model_export.data.dataset import Examples
from model_export.data.sessions import session_examples
from model_export.evaluation.click_calibration import Cases, clicks_of_bundle, fitted, held_out, judged
from model_export.evaluation.served import Served
from model_export.models.encoders import NextItem, build
from model_export.models.session_task import SessionHead
from operators.model.bundle_files import read_manifest
from operators.model.gpu.cuda_batches import DeviceBatches
from operators.model.model_bundle import INCREMENTAL, ModelBundle
from operators.model.scorer import Scorer
from operators.settings import ScorerSettings
from operators.shopper.features import Vocabulary

ITEMS, WIDTH, WINDOW = 150, 16, 12
WORDS = Vocabulary([f"i{number}" for number in range(ITEMS)])


def sessions(seed: int = 3, count: int = 30) -> Examples:
    rows = np.random.default_rng(seed).integers(0, ITEMS, (count, 20))
    return session_examples([[f"i{number}" for number in row] for row in rows], WORDS, WINDOW)


def model_with(encoder: str, *, clicks: bool) -> NextItem:
    torch.manual_seed(3)
    model = build(encoder, ITEMS, WIDTH, 0.0, WINDOW, 16.0)
    model.transitions.count(sessions())
    if clicks:
        model.tasks["session"] = SessionHead(WIDTH)
        for weights in model.tasks["session"].clicks.user.parameters():
            torch.nn.init.normal_(weights)
    model.freeze()
    return model


def exported(folder: Path, encoder: str, *, clicks: bool) -> tuple[NextItem, ModelBundle]:
    model = model_with(encoder, clicks=clicks)
    export_bundle(model, WORDS, sessions(), sessions(4), folder, {"name": "small"})
    return model, ModelBundle.load(folder)


@pytest.mark.parametrize("encoder", ["weighted-sum", "gru", "attention"])
def test_the_served_logits_are_those_of_torch_and_the_lists_those_without_the_head(
    tmp_path: Path, encoder: str
) -> None:
    model, bundle = exported(tmp_path / "with", encoder, clicks=True)
    _, plain = exported(tmp_path / "without", encoder, clicks=False)
    asked = sessions(5).where(sessions(5).features.length > 0)
    scorer, plain_scorer = (Scorer(each, ScorerSettings(provider="cpu")) for each in (bundle, plain))
    scores, rows, clicks = scorer.answers(asked.features)
    plain_scores, plain_rows = plain_scorer.answers(asked.features)
    assert rows.tolist() == plain_rows.tolist() and np.allclose(scores, plain_scores, atol=1e-5)
    assert bundle.clicks is not None and (encoder == "attention" or INCREMENTAL in bundle.manifest["files"])
    logits = bundle.clicks.logits(clicks, scores, rows[:, :20], scores[:, :20])
    inputs = (torch.from_numpy(asked.features.inputs()[name]).long() for name in ("items", "kinds", "length"))
    with torch.inference_mode():
        items = torch.from_numpy(bundle.vectors)[torch.from_numpy(rows[:, :20]).long()]
        expected = model.tasks["session"].clicks.logits(
            model.state_after_last(*inputs), items, torch.from_numpy(scores)
        )
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)


def test_a_bundle_without_the_head_has_none_of_its_files_and_outputs(tmp_path: Path) -> None:
    _, plain = exported(tmp_path / "without", "gru", clicks=False)
    assert plain.clicks is None
    assert not [name for name in plain.manifest["files"] if "click" in name]
    assert plain.manifest["outputs"] == ["scores", "rows"] and "clicks" not in plain.manifest.get("metrics", {})


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_a_compressed_bundle_keeps_the_head(tmp_path: Path, precision: str) -> None:
    _, bundle = exported(tmp_path / "with", "gru", clicks=True)
    compressed_bundle(tmp_path / "with", tmp_path / "small", precision)
    small, questions = ModelBundle.load(tmp_path / "small"), sessions(4).features
    assert bundle.clicks is not None and small.clicks is not None
    assert small.clicks.calibration.tolist() == bundle.clicks.calibration.tolist()
    warm = questions.where(questions.length > 0)
    assert Served(small).clicks(warm, 20)[0].mean() == pytest.approx(Served(bundle).clicks(warm, 20)[0].mean(), abs=0.2)


def test_the_manifest_says_how_good_the_calibration_is_on_the_later_half(tmp_path: Path) -> None:
    _, bundle = exported(tmp_path / "with", "gru", clicks=True)
    clicks = read_manifest(tmp_path / "with")["metrics"]["clicks"]
    assert clicks["calibrated"] and clicks["questions"] == 30 * 19
    assert clicks["after"]["cases"] == clicks["before"]["cases"] == clicks["questions"] // 2 * 20
    assert clicks["after"]["ECE"] < clicks["before"]["ECE"], "the head was never trained"
    assert bundle.clicks is not None and bundle.clicks.calibration.shape[0] == 2


def drawn(count: int, seed: int) -> Cases:
    """Twenty items of `count` lists that happen less often than their logits say."""
    drawing = np.random.default_rng(seed)
    logits = drawing.normal(-2, 1, (count, 20)).astype(np.float32)
    return Cases(logits, drawing.random((count, 20)) < 1 / (1 + np.exp(-1.5 * logits + 1)))


def test_isotonic_regression_mends_probabilities_that_are_too_high() -> None:
    grid = np.linspace(-8, 4, 100)
    trusting = np.stack((grid, 1 / (1 + np.exp(-grid)))).astype(np.float32)
    points, unseen = fitted(*drawn(1000, 1)), drawn(1000, 2)
    assert points is not None and (np.diff(points) >= 0).all() and points.min(axis=1)[1] >= 0
    assert judged(unseen, trusting)["ECE"] > 0.05
    assert judged(unseen, points)["ECE"] < 0.01
    halves = held_out(drawn(2000, 3), trusting)
    assert halves["after"]["ECE"] < 0.01 < halves["before"]["ECE"]


def test_too_few_cases_calibrate_nothing() -> None:
    assert fitted(*drawn(20, 1)) is None
    assert "after" not in held_out(drawn(20, 1), np.array([[0, 1], [0.1, 0.2]], dtype=np.float32))


def test_an_evaluation_judges_the_served_probabilities_and_says_what_their_calibration_has_seen(tmp_path: Path) -> None:
    _, bundle = exported(tmp_path / "with", "gru", clicks=True)
    served = Served(bundle)
    questions = sessions(4)
    seen = clicks_of_bundle(served, questions, questions.features, questions)["clicks"]
    assert seen["seen"] == 1.0 and seen["cases"] == 30 * 19 * 20 and seen["ECE"] < 0.01
    later = replace(questions, time_ms=questions.time_ms + 10**12)
    assert clicks_of_bundle(served, later, later.features, later)["clicks"]["seen"] == 0.0
    _, plain = exported(tmp_path / "without", "gru", clicks=False)
    assert clicks_of_bundle(Served(plain), questions, questions.features, questions) == {}


def test_batches_bound_to_a_device_answer_with_the_click_vectors(tmp_path: Path) -> None:
    _, bundle = exported(tmp_path / "with", "attention", clicks=True)
    session = ort.InferenceSession(bundle.read_graph(), providers=["CPUExecutionProvider"])
    inputs = sessions(4).where(sessions(4).features.length > 0).features.inputs()
    expected = session.run(None, inputs)
    found = DeviceBatches(session, WINDOW, 100, 40, device="cpu").run(inputs)
    assert [answer.shape for answer in found] == [answer.shape for answer in expected]
    np.testing.assert_allclose(found[2], expected[2], atol=1e-4)
