"""Which windows an epoch learns from."""

import numpy as np
import pytest
import torch

from model_export.data.dataset import Examples, examples
from model_export.data.windows import AT_LEAST, batch_of, batches, covering, mask_steps, window_for
from operators.shopper.features import Vocabulary
from tests.builders import NOW_MS, event

WORDS = Vocabulary([f"i{n}" for n in range(100)])


def histories(*lengths: int, window: int = 8, kind: str = "view", hop: int = 1) -> Examples:
    event_list = [
        event(event_id=f"{user}-{n}", user_id=f"u{user}", item_id=f"i{n % 100}", event_time=NOW_MS + 1000 * n + user, event_type=kind)
        for user, length in enumerate(lengths)
        for n in range(length)
    ]  # fmt: skip
    return examples(sorted(event_list, key=lambda event: event.event_time), WORDS, window=window, hop=hop)


def asked_in_epoch(train: Examples, seed: int, hop: int = 1) -> set[tuple[int, int]]:
    """(user, target) of all that an epoch asks."""
    rows = covering(train, np.random.default_rng(seed), hop)
    next_items = batch_of(train, rows).next_items.numpy()
    return {
        (int(train.user[row]), int(item)) for row, line in zip(rows, next_items, strict=True) for item in line if item
    }


@pytest.mark.parametrize("hop", [1, 4, 8])
def test_an_epoch_asks_every_example_that_has_a_step_before_it(hop: int) -> None:
    train = histories(1, 2, 5, 30, 77, hop=hop)
    everything = {
        (int(u), int(t)) for u, t, n in zip(train.user, train.target, train.features.length, strict=True) if n
    }
    for seed in range(5):
        assert asked_in_epoch(train, seed, hop) == everything


def test_a_short_session_is_one_window_and_few_of_them_come_again() -> None:
    train = histories(*[5] * 20)
    rows, times = np.unique(covering(train, np.random.default_rng(0)), return_counts=True)
    assert len(rows) == 20 and set(train.features.length[rows]) == {4}
    assert set(times) == {-(-AT_LEAST // 20)}


def test_what_was_taken_out_of_the_basket_is_a_step_and_no_wish() -> None:
    event_list = [
        event(event_id=f"e{n}", item_id=f"i{n}", event_time=NOW_MS + n, event_type=kind)
        for n, kind in enumerate(["view", "remove_from_cart", "view"])
    ]
    batch = batch_of(examples(event_list, WORDS), np.array([1]))
    assert batch.items[0].tolist() == [1, 2]
    assert batch.next_items[0].tolist() == [0, 3]


def test_batches_hold_every_window_once_with_like_lengths_and_like_steps() -> None:
    train = histories(*[2] * 200, *[8] * 100, window=8)
    rows = covering(train, np.random.default_rng(0))
    parts = [*batches(train, rows, 64, np.random.default_rng(1))]
    assert sorted(np.concatenate(parts)) == sorted(rows)
    steps = [int(train.features.length[part].sum()) for part in parts]
    assert max(steps) <= 64 + 8 and np.median(steps) > 48
    assert np.mean([np.ptp(train.features.length[part]) > 0 for part in parts]) < 0.1


def test_where_sessions_are_long_the_model_sees_all_that_a_state_holds() -> None:
    short, long = ["i"] * 20, ["i"] * 45
    assert window_for([short] * 100, 20) == 20
    assert window_for([short] * 99 + [long], 20) == 20
    assert window_for([short] * 90 + [long] * 10, 20) == 50
    assert window_for([long], 50) == 50


def test_hidden_steps_are_still_asked_about() -> None:
    torch.manual_seed(3)
    batch = batch_of(histories(*[8] * 400), np.arange(7, 3200, 8))
    masked = mask_steps(batch, 0.3, 0.1)
    assert torch.equal(masked.next_items, batch.next_items)
    steps = batch.items > 0
    assert (masked.items[steps] == 0).float().mean() == pytest.approx(0.3, abs=0.05)
    assert (masked.kinds[steps] == 0).float().mean() == pytest.approx(0.1, abs=0.03)
    assert mask_steps(batch, 0.0, 0.0).items is batch.items
