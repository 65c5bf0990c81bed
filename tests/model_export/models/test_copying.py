"""The copy head: what its shares add up to, whom it learns from, and that it is learned."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from model_export.data.sessions import session_examples
from model_export.evaluation.full_ranking import evaluate
from model_export.models.copying import MASKED, CopyHead, combined, copy_loss
from model_export.models.encoders import ENCODERS, NextItem, build
from model_export.training.fit import fit
from model_export.training.fit_options import FitOptions
from model_export.training.training import COPY_USER_EVERY, Training
from operators.shopper.features import Vocabulary

ITEMS, WINDOW = 30, 7


def questions() -> tuple[torch.Tensor, ...]:
    """(scores, copies, items, target): items come again within a row, rows are of several lengths."""
    torch.manual_seed(5)
    items = torch.randint(1, 6, (40, WINDOW))
    items[torch.arange(WINDOW) >= torch.randint(1, WINDOW + 1, (40, 1))] = 0
    copies = torch.randn(40, WINDOW).masked_fill(items == 0, MASKED).requires_grad_()
    scores = (3 * torch.randn(40, ITEMS + 1)).requires_grad_()
    return scores, copies, items, torch.randint(1, 8, (40,))


def shares(scores: torch.Tensor, copies: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """float [B, N]: by the definition, in the open."""
    one_hot = functional.one_hot(items, ITEMS + 1).float()
    return (scores.exp() + (one_hot * copies.exp()[:, :, None]).sum(1))[:, 1:]


def test_an_items_share_is_its_own_and_that_of_every_step_that_was_at_it() -> None:
    scores, copies, items, _ = questions()
    expected = shares(scores, copies, items)
    shares_of_items = combined(scores, copies, items)[:, 1:].softmax(-1)
    assert torch.allclose(shares_of_items, expected / expected.sum(-1, keepdim=True), atol=1e-6)


def test_the_loss_is_the_cross_entropy_of_what_is_served() -> None:
    scores, copies, items, target = questions()
    loss = copy_loss(scores, copies, items, target)
    expected = functional.cross_entropy(shares(scores, copies, items).log(), target - 1)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    gradients = torch.autograd.grad(loss, (scores, copies))
    expected_gradients = torch.autograd.grad(expected, (scores, copies))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(gradients, expected_gradients, strict=True))


def learned_something(name: str) -> NextItem:
    torch.manual_seed(1)
    model = build(name, ITEMS, 16, 0.5, WINDOW, 16.0).eval()
    for weights in model.copy.parameters():
        nn.init.normal_(weights)
    return model


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_and_freezing_change_nothing(name: str) -> None:
    model = learned_something(name)
    _, _, items, _ = questions()
    kinds, length = (items > 0).long(), (items > 0).sum(1)
    before = model.scores(items, kinds, length)
    for user in range(0, 40, 7):
        cut = slice(0, int(length[user]))
        scores_of_user = model.scores(items[user : user + 1, cut], kinds[user : user + 1, cut], length[user : user + 1])
        assert torch.allclose(scores_of_user[:, 1:], before[user : user + 1, 1:], atol=1e-4)
    model.freeze()
    assert torch.allclose(model.scores(items, kinds, length)[:, 1:], before[:, 1:], atol=1e-4)


def test_a_silent_head_leaves_the_encoder_alone() -> None:
    model = learned_something("weighted-sum")
    model.copy.silence()
    _, _, items, _ = questions()
    kinds, length = (items > 0).long(), (items > 0).sum(1)
    own, _ = model.after_last(items, kinds, length)
    assert torch.allclose(model.scores(items, kinds, length), own, atol=1e-5)


def returning(shoppers: int, first: int = 0) -> list[list[str]]:
    """Sessions of two items by chance out of 150, met again in turn."""
    chance = np.random.default_rng(3)
    return [[f"i{n}" for n in first + chance.choice(150, 2, replace=False)] * 3 for _ in range(shoppers)]


OPTIONS = FitOptions(width=16, window=8, dropout=0.2, epochs=3, batch=128, bf16_products=False)
WORDS = Vocabulary([f"i{n}" for n in range(300)])


def test_what_comes_again_is_learned() -> None:
    train, valid = (session_examples(returning(*arguments), WORDS, 8) for arguments in ((3000, 0), (100, 150)))
    # items of which nothing was learned, and an encoder that cannot sum its steps: a copy alone can know
    fitted = fit(Training(train, len(WORDS), replace(OPTIONS, encoder="gru")), None, lambda _: None)
    after_three = valid.where(valid.features.length >= 3)
    assert evaluate(fitted.model, after_three)["R@20"] > 0.95
    fitted.model.copy.silence()
    assert evaluate(fitted.model, after_three)["R@20"] < 0.3


def test_the_encoder_never_sees_who_teaches_the_copy_head() -> None:
    train = session_examples(returning(2048), WORDS, 8)
    training = Training(train, len(WORDS), OPTIONS)
    assert not set(training.train.user) & set(training.copy_examples.user)
    assert len(set(training.copy_examples.user)) == 2048 // COPY_USER_EVERY
    assert (
        len(training.train) + len(training.copy_examples) == len(train) - 2048 // COPY_USER_EVERY
    )  # first steps: nothing to copy


def test_too_few_shoppers_teach_it_nothing() -> None:
    training = Training(session_examples(returning(40), WORDS, 8), len(WORDS), OPTIONS)
    assert len(training.copy_examples) == 0
    head = training.model.copy
    assert isinstance(head, CopyHead) and head.repeats.bias.item() < -1000
