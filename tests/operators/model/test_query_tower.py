"""A text's parts, and where their mean lies."""

import numpy as np

from operators.model.query_tower import BUCKETS, QueryTower, buckets, words_of


def tower(**vectors: list[float]) -> QueryTower:
    """Of whole words: each has a vector, their trigrams have none."""
    by_bucket = sorted((buckets([word])[0], vector) for word, vector in vectors.items())
    known = np.array([bucket for bucket, _ in by_bucket], dtype=np.int32)
    return QueryTower(known, np.array([[0.0, 0.0, 1.0], *(vector for _, vector in by_bucket)], dtype=np.float32))


def test_parts_are_words_and_their_trigrams() -> None:
    assert words_of("Red-white MUG, 2") == ["red", "white", "mug", "2"]
    found = buckets(["mug"])
    assert len(found) == 1 + 3  # mug, <mu, mug, ug>
    assert found[0] == found[2]
    assert set(buckets(["mugs"])) & set(found), "trigrams are shared"
    assert all(0 < one <= BUCKETS for one in found)
    assert buckets([]) == [0]


def test_a_place_is_the_bias_and_the_mean_of_the_known_parts_at_unit_length() -> None:
    asked = tower(lantern=[2.0, 0.0, 0.0], kettle=[0.0, 4.0, 0.0])
    place = asked.place("Kettle or lantern?")
    assert place is not None
    expected = np.array([1.0, 2.0, 1.0])
    np.testing.assert_allclose(place, expected / np.linalg.norm(expected), rtol=1e-6)


def test_what_nobody_learned_has_no_place() -> None:
    asked = tower(lantern=[1.0, 0.0, 0.0])
    assert asked.place("") is None
    assert asked.place("?!") is None
    assert asked.place("qqq") is None
