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
    vectors, table = (functional.normalize(torch.randn(n, width), dim=-1).requires_grad_() for n in (rows, items))
    return vectors, table, torch.randn(items, requires_grad=True), torch.randint(items, (rows,))


@pytest.mark.parametrize("rows", [1, 5, 600])  # one, a part and several of the chunks of logits
def test_the_full_softmax_equals_torchs_loss_and_gradients(rows: int) -> None:
    tensors, torch_tensors = inputs(rows, 70), inputs(rows, 70)
    loss = full_softmax(*tensors, SCALE)
    expected = functional.cross_entropy(
        SCALE * torch_tensors[0] @ torch_tensors[1].T + torch_tensors[2], torch_tensors[3]
    )
    (loss * 2).backward()
    (expected * 2).backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for tensor, torch_tensor in zip(tensors[:3], torch_tensors[:3], strict=True):
        assert torch.allclose(tensor.grad, torch_tensor.grad, atol=1e-6)


def test_the_sampled_softmax_with_all_items_is_the_full_one() -> None:
    vectors, table, bias, target = inputs(40, 70)
    loss = sampled_softmax(vectors, table, bias, target, SCALE, torch.arange(70))
    assert loss.item() == pytest.approx(full_softmax(vectors, table, bias, target, SCALE).item(), rel=1e-5)


def test_the_sampled_softmax_is_near_the_full_one_on_average() -> None:
    vectors, table, bias, target = inputs(200, 4000)
    full = full_softmax(vectors, table, bias, target, 2.0).item()
    losses = [sampled_softmax(vectors, table, bias, target, 2.0, torch.randint(4000, (500,))).item() for _ in range(20)]
    assert np.mean(losses) == pytest.approx(full, rel=0.02)


@pytest.mark.parametrize("name", ENCODERS)
def test_no_step_sees_a_later_one_nor_the_padding(name: str) -> None:
    torch.manual_seed(1)
    model = build(name, 50, 16, 0.5, 20, SCALE).eval()
    items = torch.randint(1, 51, (4, 12))
    kinds = torch.ones_like(items)
    all_states = model.user_vectors(items, kinds)
    changed = items.clone()
    changed[:, 7:] = torch.randint(1, 51, (4, 5))
    assert torch.allclose(model.user_vectors(changed, kinds)[:, :7], all_states[:, :7], atol=1e-6)
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
    all_scores = model.user_vectors(items, kinds)[torch.arange(6), length - 1] @ model.table().T
    assert torch.allclose(model.scores(items, kinds, length), SCALE * all_scores + model.bias, atol=1e-4)
