"""What nobody met yet is recommended where its title says that it belongs."""

from pathlib import Path

import numpy as np

from model_export.evaluation.evaluate_events import evaluate_events
from model_export.models.cold_start import add_cold_items
from model_export.models.encoders import build
from model_export.training.fit_options import FitOptions
from model_export.training.train import train
from model_export.training.train_options import TrainingData, TrainOptions
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import CatalogueItem, encode_record
from operators.settings import ScorerSettings
from operators.shopper.features import Vocabulary, features
from operators.shopper.state_layout import read_states
from tests.builders import NOW_MS, event, viewed

FAMILIES = ("mug", "lamp", "clock", "candle", "ribbon", "basket")
COLOURS = ("red", "blue", "green", "white", "black", "pink", "gold")
NEW = "purple"  # of each family, and in the catalogue alone


def shop(folder: Path, users: int = 240) -> TrainingData:
    """Each shopper meets things of one family, of any colour."""
    rng = np.random.default_rng(5)
    events = [
        event(
            event_id=f"{user}-{position}",
            user_id=f"u{user}",
            item_id=f"{FAMILIES[user % len(FAMILIES)]}-{rng.choice(COLOURS)}",
            event_time=NOW_MS + user * 60_000 + position * 1000,
        )
        for user in range(users)
        for position in range(10)
    ]
    (folder / "events.jsonl").write_bytes(b"".join(encode_record(record) + b"\n" for record in events))
    sold = [
        CatalogueItem(item_id=f"{family}-{colour}", title=f"{colour} {family}", price=1.0, currency="GBP")
        for family in FAMILIES
        for colour in (*COLOURS, NEW)
    ]  # fmt: skip
    (folder / "catalogue.jsonl").write_bytes(b"".join(encode_record(record) + b"\n" for record in sold))
    return TrainingData(folder / "events.jsonl", folder / "catalogue.jsonl")


def train_bundle(folder: Path) -> ModelBundle:
    options = TrainOptions(
        epochs=4,
        search=1.0,
        fit=FitOptions(width=32, batch=512, learning_rate=1e-2, dropout=0.1, bf16_products=False),
    )
    train(shop(folder), folder / "bundle", options, log=lambda _: None)
    return ModelBundle.load(folder / "bundle")


def test_a_newcomer_comes_to_the_shoppers_of_its_kind(tmp_path: Path) -> None:
    bundle = train_bundle(tmp_path)
    words = bundle.vocabulary
    assert len(words) == len(FAMILIES) * (len(COLOURS) + 1)
    new = [words.row(f"{family}-{NEW}") for family in FAMILIES]
    assert min(new) == len(words) - len(FAMILIES) + 1, "behind all that were learned"
    states = [viewed(f"{family}-red", f"{family}-blue") for family in FAMILIES]
    _, rows = Scorer(bundle, ScorerSettings(provider="cpu")).score(features(read_states(states), words))
    for number, family in enumerate(FAMILIES):
        of_new = [row for row in rows[number].tolist() if row in new]
        assert words.item_ids[of_new[0] - 1] == f"{family}-{NEW}"
        assert rows[number].tolist().index(of_new[0]) < 12, "among the family's eight and hardly any other"
        nearest = [words.item_ids[row - 1] for row in bundle.neighbours[new[number]][:7].tolist()]
        assert sum(item.startswith(family) for item in nearest) >= 5
    assert bundle.queries is not None
    nearest_to = bundle.vectors @ bundle.queries.place(f"a {NEW} lamp")
    assert words.item_ids[int(nearest_to.argmax()) - 1] == f"lamp-{NEW}", "a query finds what nobody met"
    evaluation = evaluate_events(bundle, tmp_path / "events.jsonl", None, lambda _: None)
    questions = {name: metrics["questions"] for name, metrics in evaluation["by_item_support"].items()}
    assert sum(questions.values()) == evaluation["protocol"]["questions"] and "never" not in questions


def test_without_the_search_task_there_are_none() -> None:
    words, model = Vocabulary(["a", "b"]), build("gru", 2, 8, 0.0, 4, 16.0)
    assert add_cold_items(model, words, [("c", "red mug")]) is words and len(model.bias) == 3
