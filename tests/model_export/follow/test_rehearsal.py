"""A lesson moves what it is about, by the weights of its examples, and nothing else."""

import numpy as np
import pytest
import torch

from model_export.data.dataset import Examples, examples
from model_export.follow.lesson import rehearsal
from model_export.follow.lesson.position_bias import ClickWeights
from model_export.follow.lesson.rehearsal import Lesson, rehearse, replayed
from model_export.models.encoders import NextItem, build
from operators.records.contracts import Event
from operators.shopper.features import Vocabulary
from tests.builders import NOW_MS, event
from tests.model_export.follow.test_position_bias import lists

WORDS = Vocabulary([f"p{number}" for number in range(20)])


def clicks(users: int, item: str, place: int, first: int = 0) -> list[Event]:
    """Each shopper views p0 and clicks the item at a place of a list."""
    fields = [
        pair
        for user in range(first, first + users)
        for pair in (
            {"user_id": f"u{user}", "item_id": "p0", "event_time": NOW_MS + user * 1000},
            {"user_id": f"u{user}", "item_id": item, "event_time": NOW_MS + user * 1000 + 1}
            | {"event_type": "click", "recommendation_id": f"r{user}", "position": place},
        )
    ]
    return [event(event_id=f"{number}-{first}", **given) for number, given in enumerate(fields)]


def asked(events: list[Event]) -> tuple[Examples, list[Event]]:
    sources: list[Event] = []
    found = examples(events, WORDS, window=8, sources=sources)
    return found, sources


def model() -> NextItem:
    torch.manual_seed(3)
    return build("pair-sum", len(WORDS), 16, 0.0, 8, 16.0)


def advantage(events: list[Event], weighted: bool) -> float:
    """By how much p10 is ahead of p11 after p0, as a logit, when the model has learned these events."""
    questions, sources = asked(events)
    weights = np.ones(len(questions), dtype=np.float32)
    if weighted:
        wanted = [WORDS.item_ids[row - 1] for row in questions.target]
        weights = ClickWeights(lists(3000)[0]).of(sources, wanted)
    learner = model()
    rehearse(
        learner,
        Lesson(questions, np.flatnonzero(questions.features.length > 0), weights),
        0.05,
        np.random.default_rng(1),
    )
    with torch.inference_mode():
        scores = learner.own_scores(learner.state_after_last(*(torch.tensor(one) for one in ([[1]], [[1]], [1]))))[0]
    return float(scores[WORDS.row("p10")] - scores[WORDS.row("p11")])


def test_what_stood_first_is_not_taken_for_what_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are wanted alike; the ninth place is looked at a ninth as often as the first."""
    monkeypatch.setattr(rehearsal, "EPOCHS", 60)
    monkeypatch.setattr(rehearsal, "RATE", 0.5)
    events = clicks(90, "p10", place=0) + clicks(10, "p11", place=8, first=90)
    assert advantage(events, weighted=False) > 1.5
    assert abs(advantage(events, weighted=True)) < 0.8


def test_items_that_do_not_occur_keep_their_vectors() -> None:
    questions, _ = asked(clicks(30, "p10", place=0))
    learner, before = model(), model()
    rehearse(
        learner,
        Lesson(questions, np.arange(len(questions)), np.ones(len(questions), np.float32)),
        0.1,
        np.random.default_rng(1),
    )
    moved = (learner.items.weight != before.items.weight).any(1)
    assert [WORDS.item_ids[row - 1] for row in np.flatnonzero(moved.numpy())] == ["p0", "p10"]
    assert (learner.bias != before.bias).nonzero().flatten().tolist() == [WORDS.row("p0"), WORDS.row("p10")]
    assert all(torch.equal(own, other) for own, other in zip(learner.heads(), before.heads(), strict=True))


def test_old_examples_are_as_many_as_their_share_asks_for() -> None:
    old, generator, even = np.arange(1000), np.random.default_rng(1), np.ones(1000)
    assert len(replayed(old, 100, 0.5, generator, even)) == 100 and len(replayed(old, 100, 0.0, generator, even)) == 0
    assert len(replayed(old, 100, 0.75, generator, even)) == 300
    assert len(replayed(old[:50], 100, 0.5, generator, even[:50])) == 50
    assert len(replayed(old[:0], 100, 0.5, generator, even[:0])) == 0


def test_recent_examples_are_replayed_more_often() -> None:
    weights = np.where(np.arange(1000) < 500, 0.1, 1.0)
    drawn = replayed(np.arange(1000), 100, 0.5, np.random.default_rng(1), weights)
    assert np.count_nonzero(drawn >= 500) > 75
    weights = np.where(np.arange(1000) < 990, 0.0, 1.0)  # so old that nothing is left of their weight
    assert replayed(np.arange(1000), 100, 0.5, np.random.default_rng(1), weights).tolist() == list(range(990, 1000))
