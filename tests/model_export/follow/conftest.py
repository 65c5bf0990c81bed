"""A champion that learned the old walks."""

from pathlib import Path

import pytest

from model_export.training.fit_options import FitOptions
from model_export.training.train import train
from model_export.training.train_options import TrainingData, TrainOptions
from operators.records.contracts import CatalogueItem, encode_record
from tests.model_export.follow.shop import ITEMS, walks

FIT = FitOptions(
    encoder="pair-sum", width=32, dropout=0.0, learning_rate=1e-2, window=10, bf16_products=False, batch=1024
)
OLD_USERS = 240


@pytest.fixture(scope="session")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Knows the items p0 to p39 by walks with a stride of 1, and their titles."""
    folder = tmp_path_factory.mktemp("champion")
    (folder / "events.jsonl").write_bytes(b"".join(encode_record(one) + b"\n" for one in walks(OLD_USERS)))
    sold = [
        CatalogueItem(item_id=f"p{number}", title=f"{'lamp' if number % 2 else 'mug'} {number}")
        for number in range(ITEMS)
    ]
    (folder / "catalogue.jsonl").write_bytes(b"".join(encode_record(item) + b"\n" for item in sold))
    options = TrainOptions(name="walks", epochs=6, fit=FIT, search=0.2, test_share=0.05)
    source = TrainingData(folder / "events.jsonl", folder / "catalogue.jsonl")
    train(source, folder / "bundle", options, log=lambda _: None)
    return folder / "bundle"
