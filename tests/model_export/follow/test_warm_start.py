"""The weights of a bundle are those that it serves, so that a training goes on from there."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.bundles.compress import compressed_bundle
from model_export.bundles.export import export_bundle
from model_export.data.dataset import examples
from model_export.follow.lesson.warm_start import WarmStart
from model_export.models.encoders import build
from model_export.models.session_task import SessionHead
from model_export.training.fit_options import FitOptions
from operators.errors import BundleError
from operators.model.model_bundle import ModelBundle
from operators.shopper.features import Vocabulary
from tests.builders import write_bundle
from tests.model_export.follow.shop import walks
from tests.places import ROOT


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with heads that are not at their initial values."""
    torch.manual_seed(4)
    options = FitOptions(encoder="pair-sum", width=16, window=8)
    words = Vocabulary([f"p{number}" for number in range(40)])
    asked = examples(walks(40), words, window=8)
    model = build("pair-sum", 40, 16, 0.0, 8, 16.0)
    model.transitions.count(asked)
    model.tasks["session"] = SessionHead(16)
    with torch.no_grad():
        for weights in (*model.heads(), *model.tasks["session"].clicks.user.parameters()):
            weights.add_(0.1 * torch.randn_like(weights))
    model.eval().freeze()
    folder = tmp_path_factory.mktemp("served") / "bundle"
    facts = {"name": "heads", "hop": 1, "settings": asdict(options), "metrics": {}}
    export_bundle(model, words, asked, asked.where(asked.features.length > 0), folder, facts)
    return folder


def test_encoder_heads_and_followers_come_back(served: Path) -> None:
    bundle = ModelBundle.load(served)
    start = WarmStart.read(bundle)
    model = start.model(start.table, start.bias)
    assert not start.weights.silent and model.copy.trust.item() == 1
    assert start.weights.scale != 16.0, "the trust in the encoder is part of it"
    assert model.tasks["session"].clicks.user.weight.any(), "the candidate serves p_click too"
    assert (start.followers["rows"][bundle.vocabulary.row("p4")] > 0).any()


def test_weights_of_another_model_are_refused(served: Path) -> None:
    bundle = ModelBundle.load(served)
    bundle.golden["scores"] = bundle.golden["scores"] + np.float32(0.1)
    with pytest.raises(BundleError, match="golden scores"):
        WarmStart.read(bundle)
    bundle = ModelBundle.load(served)
    bundle.manifest["settings"]["encoder"] = "gru"
    with pytest.raises(BundleError, match="that manifest"):
        WarmStart.read(bundle)


def test_a_compressed_bundle_leads_to_the_one_it_was_made_from(served: Path, tmp_path: Path) -> None:
    compressed_bundle(served, tmp_path / "half", "float16")
    assert not (tmp_path / "half" / "weights.npz").exists()
    with pytest.raises(BundleError, match="float32 item table"):
        WarmStart.read(ModelBundle.load(tmp_path / "half"))


def test_a_bundle_that_no_training_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="item table"):
        WarmStart.read(ModelBundle.load(write_bundle(tmp_path / "known")))


def test_the_demos_bundle_is_read_from_its_graph() -> None:
    start = WarmStart.read(ModelBundle.load(ROOT / "models" / "online-retail"))
    assert start.weights.silent and start.queries is not None
