"""A tiny shop with a rule that can be learned: training, export, and equality of job and torch features."""

import json
from pathlib import Path

import numpy as np
import pytest

from model_export.data.dataset import read_events
from model_export.data.online_retail import LAST_MONTH, catalogue, events
from model_export.training.fit_options import FitOptions
from model_export.training.train import train
from model_export.training.train_options import TrainingData, TrainOptions
from operators.errors import EventsFileError
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import encode_record
from operators.settings import ScorerSettings
from operators.shopper.features import features
from operators.shopper.state_layout import read_states
from tests.builders import NOW_MS, event, viewed

ITEMS = 30


def circle(folder: Path, users: int = 150) -> Path:
    """Every user walks the circle of items from a place of their own: what comes next is certain."""
    file = folder / "events.jsonl"
    lines = []
    for user in range(users):
        for position in range(12):
            lines.append(
                encode_record(
                    event(
                        event_id=f"{user}-{position}",
                        user_id=f"u{user}",
                        item_id=f"p{(user * 7 + position) % ITEMS}",
                        event_time=NOW_MS + user * 60_000 + position * 1000,
                    )
                )
            )
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_is_certain_is_learned_and_the_bundle_serves_it(tmp_path: Path) -> None:
    log_lines: list[str] = []
    fit_options = FitOptions(epochs=8, width=32, dropout=0.0, batch=128)
    options = TrainOptions(name="circle", fit=fit_options)
    manifest = train(TrainingData(circle(tmp_path)), tmp_path / "bundle", options, log=log_lines.append)
    assert manifest["metrics"]["test"]["small (weighted-sum, width 32)"]["MRR@20"] > 0.75
    bundle = ModelBundle.load(tmp_path / "bundle")
    inputs = features(read_states([viewed("p3", "p4", "p5")]), bundle.vocabulary)
    _, rows = Scorer(bundle, ScorerSettings(provider="cpu")).score(inputs)
    assert bundle.vocabulary.item_ids[rows[0, 0] - 1] == "p6"
    following = bundle.neighbours[bundle.vocabulary.row("p9")][0]
    assert bundle.vocabulary.item_ids[following - 1] == "p10"
    assert json.loads((tmp_path / "bundle" / "manifest.json").read_text()) == manifest
    lines = [json.loads(line) for line in (tmp_path / "bundle" / "training.jsonl").read_text().splitlines()]
    finals = [line for line in lines if line["part"] == "final"]
    assert [line["epoch"] for line in finals] == list(range(1, manifest["settings"]["epochs"] + 1))
    search_lines = [line for line in lines if line["part"].startswith("search")]
    assert search_lines[-1]["loss"] < search_lines[0]["loss"] and all(
        "validation_mrr20" in line for line in search_lines
    )


def test_a_bad_line_is_left_out_and_said(tmp_path: Path) -> None:
    file, log_lines = tmp_path / "events.jsonl", list[str]()
    file.write_bytes(encode_record(event()) + b"\nnot json\n")
    assert [event.event_id for event in read_events(file, log_lines.append)] == ["e0"]
    assert "first line 2: not_json" in log_lines[0]


def test_too_few_events_are_said(tmp_path: Path) -> None:
    with pytest.raises(EventsFileError, match="item events before"):
        train(TrainingData(circle(tmp_path, users=12)), tmp_path / "bundle", TrainOptions(), log=lambda _: None)


def test_the_orders_become_events_in_time_order() -> None:
    event_list = list(events(start_ms=LAST_MONTH))
    times = np.array([event.event_time for event in event_list])
    assert len(event_list) == 93104
    assert (np.diff(times) >= 0).all()
    assert len({event.event_id for event in event_list}) == len(event_list)
    assert {event.event_type for event in event_list} == {"add_to_cart", "remove_from_cart", "purchase"}
    assert any(event.user_id.startswith("guest-") for event in event_list)


def test_every_product_has_a_title_and_a_price() -> None:
    items = list(catalogue())
    assert len(items) > 3700
    assert all(item.title and item.price and item.price > 0 for item in items)
