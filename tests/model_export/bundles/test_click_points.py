"""A bundle with a click head: it serves what torch computes, lists stay the same, and its calibration comes true."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from model_export.bundles.click_points import Calibration, KeptPoints
from model_export.bundles.compress import compressed_bundle
from model_export.bundles.export import export_bundle
from model_export.data.dataset import Examples
from model_export.data.sessions import session_examples
from model_export.evaluation.click_calibration import Cases, clicks_of_bundle, fitted, held_out, judged
from model_export.evaluation.served import Served
from model_export.models.encoders import NextItem, build
from model_export.models.session_task import SessionHead
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


Exported = Callable[..., ModelBundle]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The bundle of a model, exported once."""

    @cache
    def bundle_of(encoder: str, *, clicks: bool = True) -> ModelBundle:
        folder = tmp_path_factory.mktemp("bundles") / encoder
        export_bundle(model_with(encoder, clicks=clicks), WORDS, sessions(), sessions(4), folder, {"name": "small"})
        return ModelBundle.load(folder)

    return bundle_of


def warm(seed: int) -> Examples:
    return sessions(seed).where(sessions(seed).features.length > 0)


@pytest.mark.parametrize("encoder", ["weighted-sum", "gru", "attention"])
def test_the_served_logits_are_those_of_torch(exported: Exported, encoder: str) -> None:
    model, bundle, asked = model_with(encoder, clicks=True), exported(encoder), warm(5).features
    assert bundle.clicks is not None and (encoder == "attention" or INCREMENTAL in bundle.manifest["files"])
    scores, rows, clicks = Scorer(bundle, ScorerSettings(provider="cpu")).answers(asked)
    logits = bundle.clicks.logits(clicks, scores, rows[:, :20], scores[:, :20])
    inputs = (torch.from_numpy(asked.inputs()[name]).long() for name in ("items", "kinds", "length"))
    items = torch.from_numpy(bundle.vectors)[torch.from_numpy(rows[:, :20]).long()]
    with torch.inference_mode():
        state = model.state_after_last(*inputs)
        expected = model.tasks["session"].clicks.logits(state, items, torch.from_numpy(scores))
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)


def test_the_lists_are_those_without_the_head(exported: Exported) -> None:
    with_it, without = (
        Scorer(exported("weighted-sum", clicks=clicks), ScorerSettings(provider="cpu")).score(warm(5).features)
        for clicks in (True, False)
    )
    assert with_it[1].tolist() == without[1].tolist()
    np.testing.assert_allclose(with_it[0], without[0], atol=1e-5)


def test_a_bundle_without_the_head_has_none_of_its_files_and_outputs(exported: Exported) -> None:
    plain = exported("weighted-sum", clicks=False)
    assert plain.clicks is None
    assert not [name for name in plain.manifest["files"] if "click" in name]
    assert plain.manifest["outputs"] == ["scores", "rows"] and "clicks" not in plain.manifest.get("metrics", {})


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_a_compressed_bundle_keeps_the_head(exported: Exported, tmp_path: Path, precision: str) -> None:
    bundle = exported("gru")
    compressed_bundle(bundle.folder, tmp_path / "small", precision)
    small, asked = ModelBundle.load(tmp_path / "small"), warm(4).features
    assert bundle.clicks is not None and small.clicks is not None
    assert small.clicks.calibration.tolist() == bundle.clicks.calibration.tolist()
    found, expected = (Served(each).clicks(asked, 20)[0].mean() for each in (small, bundle))
    assert found == pytest.approx(expected, abs=0.2)


def test_the_manifest_says_how_good_the_calibration_is_on_the_later_half(exported: Exported) -> None:
    bundle = exported("gru")
    clicks = bundle.manifest["metrics"]["clicks"]
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


def test_an_evaluation_judges_the_served_probabilities_and_says_what_their_calibration_has_seen(
    exported: Exported,
) -> None:
    served = Served(exported("gru"))
    questions = sessions(4)
    seen = clicks_of_bundle(served, questions, questions.features, questions)["clicks"]
    assert seen["seen"] == 1.0 and seen["cases"] == 30 * 19 * 20 and seen["ECE"] < 0.01
    later = replace(questions, time_ms=questions.time_ms + 10**12)
    assert clicks_of_bundle(served, later, later.features, later)["clicks"]["seen"] == 0.0
    plain = Served(exported("weighted-sum", clicks=False))
    assert clicks_of_bundle(plain, questions, questions.features, questions) == {}


def test_batches_bound_to_a_device_answer_with_the_click_vectors(exported: Exported) -> None:
    session = ort.InferenceSession(exported("attention").read_graph(), providers=["CPUExecutionProvider"])
    inputs = warm(4).features.inputs()
    expected = session.run(None, inputs)
    found = DeviceBatches(session, WINDOW, 100, 40, device="cpu").run(inputs)
    assert [answer.shape for answer in found] == [answer.shape for answer in expected]
    np.testing.assert_allclose(found[2], expected[2], atol=1e-4)


@pytest.mark.parametrize(("questions", "calibrated"), [(0, False), (10, False), (None, True)])
def test_with_too_few_questions_a_calibration_that_serves_is_kept(
    tmp_path: Path, questions: int | None, calibrated: bool
) -> None:
    asked = sessions(4).where(np.arange(len(sessions(4)))[:questions])
    kept = KeptPoints(np.array([[-1, 2], [0.1, 0.3]], dtype=np.float32), 77)
    model = model_with("weighted-sum", clicks=True)
    calibration = Calibration(asked, sessions(4), kept)
    export_bundle(
        model, WORDS, sessions(), sessions(4), tmp_path / "bundle", {"name": "small"}, calibration=calibration
    )
    bundle = ModelBundle.load(tmp_path / "bundle")
    clicks = bundle.manifest["metrics"]["clicks"]
    assert bundle.clicks is not None and np.array_equal(bundle.clicks.calibration, kept.points) is not calibrated
    assert clicks["calibrated"] is calibrated and (clicks["until_ms"] == 77) is not calibrated
    assert Calibration.points_of(bundle) is not None and Calibration.points_of(bundle).until_ms == clicks["until_ms"]  # type: ignore[union-attr]
