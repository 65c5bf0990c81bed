"""An encoder from one shop in another: taken over whole, kept where adapters learn beside it, refused where it does not fit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from liveshelf.main import app
from model_export.models.adapters import encoder_weights, merge_adapters, read_encoder, start_from, write_encoder
from model_export.models.encoders import ENCODERS, NextItem, build
from model_export.training.fit import fit
from model_export.training.fit_options import FitOptions
from model_export.training.training import Training
from model_export.training.training_checkpoint import fingerprint
from operators.errors import LiveshelfError
from tests.model_export.data.test_windows import histories

OPTIONS = FitOptions(encoder="attention", width=8, window=8, epochs=1, batch=256, bf16_products=False, lora_rank=2)
TRAIN = histories(12, 20, 9, 15)


def encoder(name: str, seed: int, items: int = 50, width: int = 8) -> NextItem:
    torch.manual_seed(seed)
    return build(name, items, width, 0.0, 8, 16.0).eval()


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("rank", [0, 2])
def test_a_shop_begins_where_another_ended(name: str, rank: int, tmp_path: Path) -> None:
    write_encoder(encoder(name, 1), tmp_path / "encoder.npz")
    new_model = encoder(name, 2, items=70)
    steps = torch.randn(3, 8, 8)
    before = encoder(name, 1).encoded(steps)
    assert not torch.allclose(new_model.encoded(steps), before)
    start_from(new_model, read_encoder(tmp_path / "encoder.npz"), rank)
    assert torch.allclose(new_model.encoded(steps), before), "adapters begin with nothing"
    merge_adapters(new_model)
    assert torch.allclose(new_model.encoded(steps), before)
    assert encoder_weights(new_model).keys() == encoder_weights(encoder(name, 1)).keys()


@pytest.mark.parametrize("name", ENCODERS)
def test_only_adapters_and_what_is_the_shops_own_are_learned(name: str) -> None:
    start = encoder_weights(encoder(name, 1))
    training = Training(TRAIN, 100, replace(OPTIONS, encoder=name), encoder_weights=start)
    training.run_epoch()
    for weights, tensor in training.model.named_parameters():
        if weights.endswith(("weight.original", "_l0")):
            of_start = weights.replace("parametrizations.weight.original", "weight")
            assert torch.equal(tensor, start[of_start]), weights
        elif weights.startswith("items.") or weights.endswith("0.b"):
            assert tensor.abs().sum() > 0, weights
    fitted = fit(
        Training(TRAIN, 100, replace(OPTIONS, encoder=name), encoder_weights=start), None, lambda _: None
    ).model
    served = encoder_weights(fitted)
    assert served.keys() == start.keys()
    assert any(not torch.equal(served[weights], start[weights]) for weights in start if weights.endswith(".weight"))


def test_a_training_from_another_encoder_is_not_gone_on_with() -> None:
    keys = {fingerprint(TRAIN, {}, start) for start in (None, *(encoder_weights(encoder("gru", n)) for n in (1, 2)))}
    assert len(keys) == 3


def test_adapters_need_an_encoder() -> None:
    with pytest.raises(LiveshelfError, match="--encoder-from"):
        CliRunner().invoke(app, ["train", "--events", "e", "--out", "o", "--lora-rank", "4"], catch_exceptions=False)


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LiveshelfError, match="same size, width and window"):
        start_from(encoder("attention", 1), encoder_weights(encoder("gru", 1)), 0)
    with pytest.raises(LiveshelfError, match="same size, width and window"):
        start_from(encoder("gru", 1, width=16), encoder_weights(encoder("gru", 1)), 0)
    (tmp_path / "no.npz").write_bytes(b"PK no archive")
    for file in ("no.npz", "none.npz"):
        with pytest.raises(LiveshelfError, match="--encoder-out"):
            read_encoder(tmp_path / file)
