"""The losses against torch's own, and what an encoder must not do."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from model_export.models.encoders import ENCODERS, build
from model_export.models.losses import full_softmax, sampled_softmax

SCALE = 16.0


def inputs(rows: int, items: int, width: int = 8) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(3)
    wanted, table = (functional.normalize(torch.randn(n, width), dim=-1).requires_grad_() for n in (rows, items))
    return wanted, table, torch.randn(items, requires_grad=True), torch.randint(items, (rows,))


@pytest.mark.parametrize("rows", [1, 5, 600])  # one, a part and several of the chunks of logits
def test_the_full_softmax_equals_torchs_loss_and_gradients(rows: int) -> None:
    ours, theirs = inputs(rows, 70), inputs(rows, 70)
    found = full_softmax(*ours, SCALE)
    expected = functional.cross_entropy(SCALE * theirs[0] @ theirs[1].T + theirs[2], theirs[3])
    (found * 2).backward()
    (expected * 2).backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for mine, right in zip(ours[:3], theirs[:3], strict=True):
        assert torch.allclose(mine.grad, right.grad, atol=1e-6)


def test_the_sampled_softmax_with_all_items_is_the_full_one() -> None:
    wanted, table, bias, target = inputs(40, 70)
    found = sampled_softmax(wanted, table, bias, target, SCALE, torch.arange(70))
    assert found.item() == pytest.approx(full_softmax(wanted, table, bias, target, SCALE).item(), rel=1e-5)


def test_the_sampled_softmax_is_near_the_full_one_on_average() -> None:
    wanted, table, bias, target = inputs(200, 4000)
    full = full_softmax(wanted, table, bias, target, 2.0).item()
    drawn = [sampled_softmax(wanted, table, bias, target, 2.0, torch.randint(4000, (500,))).item() for _ in range(20)]
    assert np.mean(drawn) == pytest.approx(full, rel=0.02)


@pytest.mark.parametrize("name", ENCODERS)
def test_no_step_sees_a_later_one_nor_the_padding(name: str) -> None:
    torch.manual_seed(1)
    model = build(name, 50, 16, 0.5, 20, SCALE).eval()
    items = torch.randint(1, 51, (4, 12))
    kinds = torch.ones_like(items)
    whole = model.user_vectors(items, kinds)
    changed = items.clone()
    changed[:, 7:] = torch.randint(1, 51, (4, 5))
    assert torch.allclose(model.user_vectors(changed, kinds)[:, :7], whole[:, :7], atol=1e-6)
    items[:, 0], changed[:, 0] = 0, 0  # hidden by the augmentation, and there is nothing else to see
    assert torch.allclose(model.user_vectors(changed, kinds)[:, :7], model.user_vectors(items, kinds)[:, :7], atol=1e-6)
    items[:, 0] = 1
    padded = functional.pad(items[:, :7], (0, 13))
    length = torch.full((4,), 7)
    expected = model.scores(items[:, :7], kinds[:, :7], length)
    assert torch.allclose(model.scores(padded, (padded > 0).long(), length), expected, atol=1e-4)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_frozen_model_says_the_same(name: str) -> None:
    torch.manual_seed(1)
    model = build(name, 50, 16, 0.5, 20, SCALE).eval()
    items = torch.randint(1, 51, (4, 20))
    before = model.scores(items, torch.ones_like(items), torch.full((4,), 20))
    model.freeze()
    after = model.scores(items, torch.ones_like(items), torch.full((4,), 20))
    assert torch.allclose(after[:, 1:], before[:, 1:], atol=1e-4)
    assert before.abs().max() <= SCALE + 1e-3  # cosines times the scale


@pytest.mark.parametrize("name", ENCODERS)
def test_what_is_served_is_what_was_trained(name: str) -> None:
    torch.manual_seed(1)
    model = build(name, 50, 16, 0.5, 20, SCALE).eval()
    model.copy.silence()  # what it adds: test_copying
    items, length = torch.randint(1, 51, (6, 20)), torch.tensor([1, 2, 7, 13, 19, 20])
    items[torch.arange(20) >= length[:, None]] = 0
    kinds = (items > 0).long()
    every = model.user_vectors(items, kinds)[torch.arange(6), length - 1] @ model.table().T
    assert torch.allclose(model.scores(items, kinds, length), SCALE * every + model.bias, atol=1e-4)
