"""Tasks beside the next item: their labels, their metrics against known values, and that each is learned alone and jointly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.bundles.graph import export_graph
from model_export.data.dataset import Examples, examples, ratings
from model_export.data.searches import Searches, searches_of, title_queries
from model_export.evaluation.full_ranking import evaluate
from model_export.models.rating_task import RatingTask
from model_export.models.search_task import SearchTask, text_vectors
from model_export.models.session_task import SessionTask, area_under_roc, cross_entropy
from model_export.training.fit import fit
from model_export.training.fit_options import FitOptions
from model_export.training.training import Training
from model_export.training.training_checkpoint import TrainingCheckpoint
from operators.model.query_tower import words_of
from operators.records.contracts import Event
from operators.shopper.features import Vocabulary
from tests.builders import NOW_MS, event
from tests.model_export.training.test_fit import DiesAfter

ITEMS = 60
WORDS = Vocabulary([f"i{n}" for n in range(ITEMS)])
OPTIONS = FitOptions(width=32, window=8, dropout=0.1, epochs=4, batch=256, bf16_products=False)
MINUTE_MS = 60_000


def event_at(minute: int, user: str, item: int | None, kind: str, **rest: object) -> Event:
    return event(
        event_id=f"{user}-{minute}-{kind}",
        event_time=NOW_MS + minute * MINUTE_MS,
        user_id=user,
        item_id=None if item is None else f"i{item}",
        event_type=kind,
        **rest,
    )


def test_outcomes_are_of_the_item_in_the_session_and_never_of_the_past() -> None:
    labelled = examples(
        [
            event_at(0, "a", 1, "view"),
            event_at(1, "a", 1, "click"),
            event_at(1, "b", 1, "view"),  # of another shopper: nothing becomes of it
            event_at(2, "a", 2, "view"),
            event_at(3, "a", 1, "add_to_cart"),
            event_at(4, "a", 1, "view"),
            event_at(90, "a", 2, "purchase"),  # another session
        ],
        WORDS,
        window=8,
    )
    assert labelled.outcomes.astype(int).tolist() == [
        [1, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1],
    ]  # fmt: skip
    before = labelled.where(labelled.time_ms < NOW_MS + 3 * MINUTE_MS).with_own_outcomes()
    assert before.outcomes.astype(int).tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_a_search_leads_to_the_first_known_item_soon_after_it() -> None:
    searches = searches_of(
        [
            event_at(0, "a", None, "search", query="red mug"),
            event_at(1, "b", 3, "view"),
            event_at(2, "a", 99, "view"),  # not in the vocabulary
            event_at(3, "a", 5, "click"),
            event_at(4, "a", 6, "click"),
            event_at(5, "b", None, "search", query="late"),
            event_at(16, "b", 7, "view"),
        ],
        WORDS,
    )
    assert (searches.texts, searches.rows.tolist()) == (["red mug"], [WORDS.row("i5")])


def test_a_title_asks_by_some_of_its_words() -> None:
    titles = Searches.of([("one two three four", 1, 0)] * 50)
    queries = title_queries(titles, 1)
    assert queries.texts == title_queries(titles, 1).texts
    assert all(text and set(text.split()) <= {"one", "two", "three", "four"} for text in queries.texts)


def test_metrics_of_probabilities_have_their_known_values() -> None:
    predicted, labels = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    assert area_under_roc(predicted, labels) == pytest.approx(0.75)  # scikit-learn's own example
    assert cross_entropy(0.5, labels) == pytest.approx(np.log(2))


def shop(shoppers: int, seed: int) -> Examples:
    """Walks along a circle of items; those of an even number are put into the cart at the end of the session."""
    begins = np.random.default_rng(seed).integers(0, ITEMS, shoppers)
    event_list = []
    for shopper, first_item in enumerate(begins):
        walk = [int(first_item + step) % ITEMS for step in range(4)]
        user, start = f"{seed}-{shopper}", shopper * 120
        event_list += [event_at(start + step, user, item, "view") for step, item in enumerate(walk)]
        event_list += [
            event_at(start + 5 + step, user, item, "add_to_cart") for step, item in enumerate(walk) if item % 2 == 0
        ]
    return examples(event_list, WORDS, window=8)


TITLES = Searches.of([(f"mug of pattern {n} no{n * 7919 % 101}", WORDS.row(f"i{n}"), 0) for n in range(ITEMS)])


def tasks_on(train: Examples, questions: Examples) -> tuple[SessionTask, SearchTask]:
    session = SessionTask(1.0, train, questions)
    return session, SearchTask(1.0, TITLES, Searches.of([]), TITLES)


@pytest.mark.slow
def test_each_task_is_learned_and_the_next_item_with_them(tmp_path: Path) -> None:
    train, questions = shop(400, 1), shop(60, 2)
    session, search = tasks_on(train, questions)
    assert session.kinds == [1]  # carts alone: there are no clicks and no purchases
    model = fit(Training(train, ITEMS, OPTIONS, (session, search)), None, lambda _: None).model
    metrics = session.metrics(model)
    assert (
        metrics["add_to_cart AUC"] > 0.9 and metrics["add_to_cart entropy"] < 0.6 and metrics["add_to_cart ECE"] < 0.1
    )
    assert search.metrics(model)["MRR@20"] > 0.8
    tower, texts = model.tasks["search"].tower(), ["mug no7", "pattern 3", "a MUG that nobody knows"]
    served = np.array([tower.place(text) for text in texts])
    query_vectors = text_vectors(model, [words_of(text) for text in texts]).detach().numpy()
    np.testing.assert_allclose(served, query_vectors, atol=1e-5)
    warm = questions.where((questions.features.length > 0) & (questions.kind == 1))
    assert evaluate(model, warm)["R@20"] > 0.9
    export_graph(model, 10, tmp_path / "joint.onnx")
    for name in [name for name in model.tasks if name != "session"]:
        del model.tasks[name]
    export_graph(model, 10, tmp_path / "alone.onnx")
    size = [(tmp_path / name).stat().st_size for name in ("joint.onnx", "alone.onnx")]
    assert abs(size[0] - size[1]) < 1000  # of the tasks' heads only the session's click head is served


def rated(shoppers: int, seed: int) -> tuple[Examples, Examples]:
    """Wishes and ratings. Who looks at even items likes even ones, and the other way round: an item's mean says nothing."""
    drawing = np.random.default_rng(seed)
    event_list = []
    for shopper in range(shoppers):
        likes, user, start = shopper % 2, f"{seed}-{shopper}", shopper * 120
        items_seen = drawing.integers(0, ITEMS // 2, 3) * 2 + likes
        event_list += [event_at(start + minute, user, int(item), "view") for minute, item in enumerate(items_seen)]
        judged = int(drawing.integers(0, ITEMS))
        event_list.append(event_at(start + 4, user, judged, "rate", rating=5.0 if judged % 2 == likes else 1.0))
    rating_examples = ratings(event_list, WORDS, window=8)
    assert rating_examples is not None
    return examples(event_list, WORDS, window=8), rating_examples


def test_ratings_are_learned_by_whom_they_come_from() -> None:
    (train, train_ratings), (_, test_ratings) = rated(600, 1), rated(80, 2)
    assert len(train_ratings) == 600
    task = RatingTask(1.0, train_ratings, test_ratings)
    options = replace(OPTIONS, epochs=6, learning_rate=1e-2)
    metrics = task.metrics(fit(Training(train, ITEMS, options, (task,)), None, lambda _: None).model)
    assert metrics["RMSE of item means"] == pytest.approx(2.0, abs=0.3)
    assert metrics["RMSE"] < 1.2


def test_without_ratings_nothing_is_learned_of_them() -> None:
    assert not RatingTask(1.0, shop(20, 1), shop(20, 2)).teaches


@pytest.mark.slow
def test_a_joint_training_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    train_examples = shop(100, 1)

    def train_weights(checkpoint: TrainingCheckpoint | None) -> dict[str, torch.Tensor]:
        options = replace(OPTIONS, epochs=3)
        training = Training(train_examples, ITEMS, options, tasks_on(train_examples, train_examples))
        return fit(training, None, lambda _: None, checkpoint=checkpoint).model.state_dict()

    with pytest.raises(KeyboardInterrupt):
        train_weights(DiesAfter(tmp_path / "c", 1))
    resumed, uninterrupted = train_weights(TrainingCheckpoint(tmp_path / "c", lambda _: None)), train_weights(None)
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in uninterrupted)
