"""The click head learns from lists, and neither encoder nor item table learns from it."""

import numpy as np
import torch

from model_export.data.chosen import Chosen
from model_export.data.dataset import examples
from model_export.data.windows import tensors_of
from model_export.models.encoders import build
from model_export.models.session_task import SessionHead
from operators.shopper.features import Vocabulary
from tests.builders import NOW_MS, event

ITEMS, WIDTH = 40, 32  # wide enough to tell the items apart
WORDS = Vocabulary([f"i{n}" for n in range(ITEMS)])


def walks() -> list:
    """Shoppers who look at a few items of an even number only."""
    drawn = np.random.default_rng(5).integers(0, ITEMS // 2, (60, 5)) * 2
    return [
        event(user * 10 + step, user_id=f"u{user}", item_id=f"i{item}", event_time=NOW_MS + (user * 10 + step) * 1000)
        for user, walk in enumerate(drawn)
        for step, item in enumerate(walk)
    ]


def test_it_learns_what_shoppers_leave_out_and_the_encoder_learns_nothing_from_it() -> None:
    torch.manual_seed(1)
    train = examples(walks(), WORDS, window=6)
    warm, chosen = train.where(train.features.length > 0), Chosen(train)
    model = build("gru", ITEMS, WIDTH, 0.0, 6, 16.0)
    model.tasks["session"] = SessionHead(WIDTH)
    head = model.tasks["session"].clicks
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)

    def loss() -> torch.Tensor:
        own, context = model.after_last(*tensors_of(warm, model.device))
        return head.loss(model, context[0], model.with_heads(own, *context), warm, chosen)

    before = loss().item()
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < before - 0.02
    assert model.items.weight.grad is None and model.gru.weight_ih_l0.grad is None
    state, table = model.state_after_last(*tensors_of(warm, model.device)), model.table()
    even, odd = (head.corrections(state, table[start::2].expand(len(state), -1, -1)).mean() for start in (1, 2))
    assert even > odd + 0.1, "i0 is row 1: shoppers look at these"


def test_an_untrained_head_corrects_nothing() -> None:
    head = SessionHead(WIDTH).clicks
    scores = torch.randn(3, 50).sort(descending=True).values
    logits = head.logits(torch.randn(3, WIDTH), torch.randn(3, 20, WIDTH), scores)
    assert torch.allclose(logits, scores.log_softmax(-1)[:, :20])
