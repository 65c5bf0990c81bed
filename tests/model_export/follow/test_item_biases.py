"""Biases move until the model expects what shoppers wanted, and no further than the evidence goes."""

import numpy as np
import torch

from model_export.data.dataset import Examples, examples
from model_export.follow.lesson.item_biases import LARGEST_MOVE, PRIOR_WISHES, follow_demand
from model_export.models.encoders import NextItem, build
from operators.shopper.features import Vocabulary
from tests.builders import NOW_MS, event

WORDS = Vocabulary([f"p{number}" for number in range(20)])


def model() -> NextItem:
    torch.manual_seed(3)
    return build("pair-sum", len(WORDS), 16, 0.5, 8, 1.0).eval()


def wants(items: list[str], first: int = 0) -> Examples:
    """Each shopper views p0, then one of the items."""
    events = [
        event(
            event_id=f"{first + user}-{place}",
            user_id=f"u{first + user}",
            item_id=item,
            event_time=NOW_MS + user * 1000 + place,
        )
        for user, wanted in enumerate(items)
        for place, item in enumerate(("p0", wanted))
    ]
    asked = examples(events, WORDS, window=8)
    return asked.where(asked.features.length > 0)


def expected(learner: NextItem) -> torch.Tensor:
    """The shares of all items after p0."""
    with torch.inference_mode():
        scores = learner.own_scores(learner.state_after_last(*(torch.tensor(one) for one in ([[1]], [[1]], [1]))))[0]
        scores[0] = -torch.inf
        return scores.softmax(-1)


def test_what_is_wanted_is_expected() -> None:
    questions, learner = wants(["p3"] * 600 + ["p4"] * 300 + ["p5"] * 100), model()
    follow_demand(learner, questions, np.full(len(questions), 20.0))
    found = expected(learner)
    for item, share in (("p3", 0.6), ("p4", 0.3), ("p5", 0.1)):
        assert abs(float(found[WORDS.row(item)]) - share) < 0.03


def test_the_newer_wishes_weigh_more_and_few_move_little() -> None:
    questions, learner = wants(["p3"] * 500 + ["p4"] * 500), model()
    weights = np.where(questions.target == WORDS.row("p4"), 20.0, 0.2)
    follow_demand(learner, questions, weights)
    assert expected(learner)[WORDS.row("p4")] > 0.9
    before, learner = model(), model()
    follow_demand(learner, wants(["p3"]), np.ones(1))
    moved = learner.bias - before.bias
    assert 0 < float(moved[WORDS.row("p3")].detach()) < np.log((1 + PRIOR_WISHES) / PRIOR_WISHES) + 0.01
    assert float(moved.abs().max().detach()) < 0.2


def test_nothing_moves_without_a_question_and_nothing_far_in_one_round() -> None:
    questions, before, learner = wants(["p3"] * 50_000), model(), model()
    follow_demand(learner, questions.where(np.zeros(0, dtype=np.int64)), np.zeros(0))
    assert torch.equal(learner.bias, before.bias)
    follow_demand(learner, questions, np.ones(len(questions)))
    moved = (learner.bias - before.bias).detach()
    assert float(moved.abs().max()) <= LARGEST_MOVE + 1e-6
    assert float(moved[0]) == 0
