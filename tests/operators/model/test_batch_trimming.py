"""What is not computed: the padding behind short histories."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.model.batch_trimming import (
    SPLIT_STEPS,
    WIDTH_UNIT,
    BestRows,
    parts_by_steps,
    width_for,
    without_padding,
)
from operators.shopper.features import Rows

WINDOW = 20


class Sums:
    """A graph whose score is the sum of a user's items; remembers the shapes that it was asked for."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, inputs: dict[str, Rows]) -> BestRows:
        self.shapes.append(inputs["items"].shape)
        assert inputs["kinds"].shape == inputs["items"].shape and len(inputs["length"]) == len(inputs["items"])
        assert inputs["items"].shape[1] >= inputs["length"].max()
        scores = inputs["items"].sum(axis=1, keepdims=True)
        return scores.astype(np.float32), inputs["length"][:, None]


def asked(lengths: list[int]) -> dict[str, Rows]:
    length = np.array(lengths, dtype=np.int32)
    items = np.where(np.arange(WINDOW) < length[:, None], np.arange(1, len(lengths) + 1)[:, None], 0).astype(np.int32)
    return {"items": items, "kinds": (items > 0).astype(np.int32), "length": length}


@given(st.lists(st.integers(1, WINDOW), min_size=1, max_size=140))
def test_answers_come_in_the_users_order_and_each_call_pays(lengths: list[int]) -> None:
    graph, inputs = Sums(), asked(lengths)
    scores, rows = without_padding(graph, inputs)
    assert scores[:, 0].tolist() == inputs["items"].sum(axis=1).tolist()
    assert rows[:, 0].tolist() == lengths
    assert sum(users for users, _ in graph.shapes) == len(lengths)
    assert all(steps % WIDTH_UNIT == 0 for _, steps in graph.shapes)
    parts = parts_by_steps(inputs["length"], SPLIT_STEPS)
    computed = sum(len(part) * inputs["length"][part].max() for part in parts)
    assert computed <= len(lengths) * max(lengths) - (len(parts) - 1) * SPLIT_STEPS


@pytest.mark.parametrize(
    ("lengths", "shapes"),
    [
        ([3], [(1, 4)]),
        ([4] * 64, [(64, 4)]),
        ([20] * 64, [(64, 20)]),
        ([3, 20], [(2, 20)]),  # too little to gain from a second call
        ([20, *[3] * 30, 20], [(30, 4), (2, 20)]),
        ([*[1] * 20, *[10] * 20, *[20] * 20], [(20, 4), (20, 12), (20, 20)]),
    ],
)
def test_short_histories_go_by_themselves_where_it_pays(lengths: list[int], shapes: list[tuple[int, int]]) -> None:
    graph = Sums()
    without_padding(graph, asked(lengths))
    assert graph.shapes == shapes


def test_a_width_is_a_multiple_that_the_window_ends() -> None:
    assert [width_for(longest, 10) for longest in (1, 4, 5, 9)] == [4, 4, 8, 10]
