"""The bytes of items equal those of msgspec for the same objects."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.lists.exploring.explored import Drawn, Explored
from operators.lists.items import items_json
from operators.lists.items.items_json import ItemsJson
from operators.lists.popular_order import REASON_KINDS
from operators.lists.reasons import NAMED_KINDS, PlaceReasons
from operators.model.click_head import NONE, STEPS
from operators.records.contracts import ListItem, Reason

IDS = [
    "i1",
    'quo"te',
    "back\\slash",
    "new\nline\ttab\x01\x7f",
    "Möbel",
    "東京\u2028",
    "🪑",
    "100%",
    "%b{}",
    "</script>",
    "",
]
PLACES = 5
EDGES = [0.0, -0.0, 1.0, 0.1, 1e-07, 1e-05, 0.0001, 123456.7891, 1e15, 1e16, 1e17, 1e21, 1e22, 3.4e38, -2.5, 1 / 3]

scores = st.one_of(
    st.sampled_from(EDGES),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda score: float(np.round(np.float64(score), 4))),
    st.floats(allow_nan=False, allow_infinity=False),
)


Batch = tuple[Any, Any, PlaceReasons]


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """rows, scores, reasons, each [B, places]."""
    shape = draw(st.integers(1, 4)), draw(st.integers(0, PLACES))

    def array(values: st.SearchStrategy[Any], dtype: type) -> Any:
        count = shape[0] * shape[1]
        return np.array(draw(st.lists(values, min_size=count, max_size=count)), dtype=dtype).reshape(shape)

    rows = st.integers(1, len(IDS))
    kinds = array(st.integers(0, len(REASON_KINDS) - 1), np.int64)
    own = np.isin(kinds, [REASON_KINDS.index(kind) for kind in NAMED_KINDS])
    return (
        array(rows, np.int32),
        array(scores, np.float64),
        PlaceReasons(kinds, np.where(own, array(rows, np.int64), 0)),
    )


def as_objects(rows: Any, list_scores: Any, reasons: PlaceReasons) -> list[list[ListItem]]:
    """Item by item."""
    return [
        [
            ListItem(IDS[row - 1], score, rank, Reason(REASON_KINDS[kind], IDS[own - 1] if own else None))
            for rank, (row, score, kind, own) in enumerate(zip(*of_list, strict=True), start=1)
        ]
        for of_list in zip(*map(np.ndarray.tolist, (rows, list_scores, *reasons)), strict=True)
    ]


@given(batches(), st.data())
def test_the_bytes_with_click_probabilities_are_those_of_msgspec(batch: Batch, drawing: st.DataObject) -> None:
    shape = batch[0].shape
    probabilities = st.lists(st.integers(NONE, STEPS), min_size=batch[0].size, max_size=batch[0].size)
    clicks = np.array(drawing.draw(probabilities), dtype=np.int32).reshape(shape)
    objects = as_objects(*batch)
    for of_list, steps in zip(objects, clicks.tolist(), strict=True):
        for item, step in zip(of_list, steps, strict=True):
            item.p_click = None if step == NONE else step / STEPS
    encoder = ItemsJson(IDS, PLACES, with_clicks=True)
    assert encoder.encode(*batch, clicks=clicks) == [msgspec.json.encode(items) for items in objects]
    assert encoder.encode(*batch) == ItemsJson(IDS, PLACES).encode(*batch), "a list without them has no such field"


kept = ItemsJson(IDS, PLACES)  # its fragments are made by the first example and used by the others


@given(batches())
def test_the_bytes_are_those_of_msgspec(batch: tuple[Any, Any, PlaceReasons]) -> None:
    expected = [msgspec.json.encode(items) for items in as_objects(*batch)]
    assert ItemsJson(IDS, PLACES).encode(*batch) == expected
    assert kept.encode(*batch) == expected


def test_no_more_fragments_are_kept_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_json, "FRAGMENTS_KEPT", 2)
    few = ItemsJson(IDS, PLACES)
    for first in range(1, len(IDS)):
        rows = np.array([[first, first + 1]], dtype=np.int32)
        batch = rows, np.array([[0.5, 0.25]]), PlaceReasons(np.zeros((1, 2), np.int64), np.zeros((1, 2), np.int64))
        assert few.encode(*batch) == [msgspec.json.encode(items) for items in as_objects(*batch)]
        assert few._items._kept.made.sum() <= 1 + 2 + 1, "row 0, the limit, and what one batch added past it"


def test_with_what_is_explored_each_item_has_its_propensity() -> None:
    one = np.array([1, 0], dtype=np.int32)
    drawn = Drawn(
        np.array([1, 2]), one, one.astype(np.float32), np.array([0, 2]), one.astype(np.uint32), np.array([1e-05, 0.25])
    )
    explored = Explored(drawn, np.array([1, 2]), ['quo"te'], np.array([False, True, True]), 0.75, 1)
    rows, kinds = np.full((3, 3), 3, dtype=np.int32), np.zeros((3, 3), dtype=np.int64)
    reasons, values = PlaceReasons(kinds, kinds.copy()), np.zeros((3, 3), dtype=np.float32)
    explored.put(rows, values, reasons)
    encoded = ItemsJson(IDS, PLACES).encode(rows, values.astype(np.float64), reasons, explored)
    lists = [msgspec.json.decode(items, type=list[ListItem]) for items in encoded]
    assert [[item.propensity for item in items] for items in lists] == [[1, 1, 1], [1, 1e-05, 0.75], [1, 0.75, 0.25]]
    assert (lists[1][1].item_id, lists[1][1].reason) == ("i1", Reason("explore"))
    assert (lists[2][2].item_id, lists[2][2].reason, lists[2][2].rank) == ('quo"te', Reason("new", 'quo"te'), 3)
    expected = [[1, 1, 1], [1, 1e-05, 0.75], [1, 0.75, 0.25]]
    assert explored.propensities(3).tolist() == [pytest.approx(of_list) for of_list in expected]
    assert json.loads(ItemsJson(IDS, PLACES).encode(rows[:1], values[:1].astype(np.float64), reasons.of_list(0))[0])
