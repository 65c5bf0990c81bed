"""The transition head: what it counts, what its shares add up to, that it is learned and exported."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from model_export.data.dataset import Examples
from model_export.data.sessions import session_examples
from model_export.data.transition_counts import transition_counts
from model_export.evaluation.full_ranking import evaluate
from model_export.models.copying import MASKED
from model_export.models.encoders import ENCODERS, build
from model_export.models.transitions import FOLLOWERS, followers
from model_export.training.fit import fit
from model_export.training.fit_options import FitOptions
from model_export.training.training import Training
from operators.shopper.features import Vocabulary
from tests.model_export.models.test_copying import questions as copy_questions

OPTIONS = FitOptions(width=16, window=8, dropout=0.2, epochs=2, batch=128, bf16_products=False)
ITEMS = 1200
WORDS = Vocabulary([f"i{n}" for n in range(ITEMS)])


def in_a_circle(shoppers: int, seed: int) -> list[list[str]]:
    """Sessions of four items, each after its one follower in a random circle of all items."""
    circle = np.random.default_rng(1).permutation(ITEMS)
    begins = np.random.default_rng(seed).integers(0, ITEMS, shoppers)
    return [[f"i{circle[(start + step) % ITEMS]}" for step in range(4)] for start in begins]


def training_examples() -> Examples:
    return session_examples(in_a_circle(4096, 2), WORDS, 8)


def test_followers_are_counted_and_come_in_their_order() -> None:
    sessions = [["i0", "i1"]] * 3 + [["i0", "i2"]] * 2 + [["i0", f"i{n}"] for n in range(3, 60)] + [["i5", "i0", "i5"]]
    rows, frequency = followers(transition_counts(session_examples(sessions, WORDS, 8), ITEMS))
    counts = Counter(WORDS.row(pair[1]) for pair in sessions[:-1])
    counts[WORDS.row("i5")] += 1
    first = WORDS.row("i0")
    assert rows[first, :3].tolist() == [WORDS.row("i1"), WORDS.row("i2"), WORDS.row("i5")]
    assert frequency[first].tolist() == sorted(counts.values(), reverse=True)[:FOLLOWERS]
    assert rows[WORDS.row("i5"), :2].tolist() == [first, 0]
    assert not rows[0].any() and not frequency[0].any()  # first steps come after nothing


@pytest.mark.parametrize("name", ENCODERS)
def test_an_items_share_is_its_own_with_those_of_step_and_follower(name: str) -> None:
    torch.manual_seed(1)
    model = build(name, ITEMS, 16, 0.5, 7, 16.0).eval()
    model.transitions.count(session_examples([["i0", "i1", "i2"], ["i1", "i0", "i3"]] * 9, WORDS, 7))
    for weights in model.heads():
        nn.init.normal_(weights)
    _, _, items, _ = copy_questions()
    kinds, length = (items > 0).long(), (items > 0).sum(1)
    own, of_last = model.after_last(items, kinds, length)
    rows, logits = model.competing(*of_last)
    expected = (model.copy.trust * own).exp()
    for user in range(len(items)):
        for row, logit in zip(rows[user], logits[user], strict=True):
            expected[user, row] += logit.exp()
    assert torch.allclose(model.scores(items, kinds, length)[:, 1:], expected.log()[:, 1:], atol=1e-4)
    assert (logits[rows == 0] == MASKED).all()


def test_who_teaches_the_head_is_not_counted() -> None:
    training = Training(training_examples(), ITEMS, OPTIONS)
    count = torch.expm1(training.model.transitions.seen).sum()
    assert len(training.copy_examples) > 0
    assert count.item() == pytest.approx((training.train.features.length > 0).sum(), rel=1e-4)


def test_what_always_follows_is_learned_before_an_encoder_could() -> None:
    fitted = fit(Training(training_examples(), ITEMS, replace(OPTIONS, encoder="gru")), None, lambda _: None)
    questions = session_examples(in_a_circle(200, 3), WORDS, 8)
    questions = questions.where(questions.features.length > 0)
    assert evaluate(fitted.model, questions)["MRR@20"] > 0.9
    fitted.model.transitions.silence()
    assert evaluate(fitted.model, questions)["MRR@20"] < 0.5
