"""Analysis, vocabulary and synonyms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.errors import SearchError
from operators.search.analysis import text_analyzer, words_of
from operators.search.diversity import diversified
from operators.search.fusion import reciprocal_ranks
from operators.search.synonyms import Synonyms
from operators.search.vocabulary import Vocabulary, edits, reach_of
from tests.operators.search.shop import ITEMS


@pytest.mark.parametrize(
    ("left", "right"),
    [("4GB ram", "4 gb RAM"), ('17" screen', "17 inch screen"), ("women's", "womens"), ("Café", "cafe")],
)
def test_two_spellings_of_one_thing_are_the_same_words(left: str, right: str) -> None:
    assert words_of(left) == words_of(right)


def test_stop_words_have_no_stem_and_plurals_have_that_of_the_singular() -> None:
    assert text_analyzer().analyze("the lanterns of a lantern") == ["lantern", "lantern"]


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [("", "ab", 2), ("lantren", "lantern", 1), ("calclator", "calculator", 1), ("abc", "cab", 2), ("x", "x", 0)],
)
def test_edits_by_hand(left: str, right: str, distance: int) -> None:
    assert edits(left, right) == distance


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edits_are_symmetric_and_bounded(left: str, right: str) -> None:
    assert edits(left, right) == edits(right, left) <= max(len(left), len(right))


def test_a_model_number_and_a_short_word_have_no_near_words() -> None:
    assert [reach_of(word) for word in ("tv", "mug", "lantern", "calculator", "tn2110")] == [0, 1, 1, 2, 0]


def test_the_vocabulary_follows_the_items() -> None:
    words = Vocabulary()
    words.add(["lantern", "lantern", "lamp"])
    words.add(["lantern"])
    assert words.near("lantren") == [], "not before it is refreshed"
    words.refresh()
    assert [(near.word, near.distance, near.count) for near in words.near("lantren")] == [("lantern", 1, 2)]
    assert words.completions("la", 5) == ["lantern", "lamp"]
    words.remove(["lantern"])
    words.remove(["lantern", "lamp"])
    assert (words.near("lantren"), words.completions("la", 5), len(words)) == ([], [], 0)


def test_synonyms_go_both_ways_unless_an_arrow_says_otherwise() -> None:
    synonyms = Synonyms(["laptop, notebook  # computers", "", "tv => television, flat screen"])
    assert synonyms.of(("laptop",)) == [("notebook",)]
    assert synonyms.of(("tv",)) == [("television",), ("flat", "screen")]
    assert synonyms.of(("television",)) == []


@pytest.mark.parametrize("line", ["laptop", "=> x", "a =>", "one two three four five, x"])
def test_a_line_that_is_no_group_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(SearchError) as refused:
        Synonyms(["a, b", line])
    assert "line 2" in str(refused.value)


def test_fusion_by_hand() -> None:
    scores = reciprocal_ranks(
        {"words": [1, 2], "text": [2], "absent": [], "unweighted": [7]}, {"words": 1.0, "text": 0.5}
    )
    assert [*scores] == [2, 1]
    assert scores[1] == pytest.approx((1 / 61) / (1.5 / 61))
    assert scores[2] == pytest.approx((1 / 62 + 0.5 / 61) / (1.5 / 61))
    assert reciprocal_ranks({}, {}) == {}


def test_diversity_keeps_the_best_item_and_then_prefers_other_brands_and_categories() -> None:
    items = dict(enumerate(ITEMS))
    scores = {0: 1.0, 1: 0.99, 2: 0.98, 3: 0.9}
    assert diversified(scores, items, 0) == [0, 1, 2, 3]
    assert diversified(scores, items, 0.5)[:2] == [0, 3], "the dog bowl shares neither brand nor category"
    assert sorted(diversified(scores, items, 1)) == [0, 1, 2, 3]
