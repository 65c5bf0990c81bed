import numpy as np
import pytest

from model_export.baselines.als import Als
from model_export.baselines.baselines import ItemKnn, Markov, Popularity, SessionPopularity, session_items
from model_export.baselines.vmis_knn import VmisKnn
from model_export.data.dataset import Examples, examples
from model_export.measures.ranking_metrics import ranks, summary
from operators.shopper.features import Vocabulary
from tests.builders import NOW_MS, event

WORDS = Vocabulary(["a", "b", "c", "d", "e"])


def shop(*sessions: str, step_ms: int = 1000) -> Examples:
    """One user a session, one view a letter, sessions one day apart."""
    event_list = [
        event(
            number=day * 100 + position,
            event_id=f"{day}-{position}",
            user_id=f"u{day}",
            item_id=item,
            event_time=NOW_MS + day * 86_400_000 + position * step_ms,
        )
        for day, session in enumerate(sessions)
        for position, item in enumerate(session)
    ]
    return examples(event_list, WORDS)


def test_ranks_count_ties_against_the_model_and_ignore_the_padding() -> None:
    scores = np.array([[9, 0.1, 0.5, 0.3], [9, 1, 1, 1]], dtype=np.float32)
    assert ranks(scores, np.array([3, 2])).tolist() == [2, 3]


def test_metrics_equal_a_table_by_hand() -> None:
    metrics = summary(np.array([1, 2, 20, 21]))
    assert metrics["R@20"] == 0.75
    assert metrics["MRR@20"] == pytest.approx((1 + 1 / 2 + 1 / 20) / 4)
    assert metrics["NDCG@20"] == pytest.approx((1 + 1 / np.log2(3) + 1 / np.log2(21)) / 4)


def test_an_example_asks_what_came_next_with_the_state_before() -> None:
    questions = shop("abc")
    assert questions.target.tolist() == [1, 2, 3]
    assert questions.features.length.tolist() == [0, 1, 2]
    assert questions.features.items[2, :2].tolist() == [1, 2]


def test_popularity_counts_the_last_week_only() -> None:
    train = shop("aa", "b", "b", "b", "b", "b", "b", "b", "b", "c")
    scores = Popularity(train, len(WORDS)).scores(train)[0]
    assert scores[2] > scores[3] > scores[1] == 0


def test_markov_counts_what_followed() -> None:
    train = shop("ab", "ab", "ac", "de")
    questions = train.where(np.array([False] * 7 + [True]))
    scores = Markov(train, len(WORDS)).counts(np.array([1]))[0]
    assert scores[2:4].tolist() == [2, 1]
    assert Markov(train, len(WORDS)).scores(questions)[0].argmax() == 5


def test_vmis_knn_votes_with_the_sessions_that_share_items() -> None:
    train = shop("abc", "abd", "de", "de")
    questions = shop("ab").where(np.array([False, True]))
    scores = VmisKnn(train, len(WORDS)).scores(questions)[0]
    assert set(np.flatnonzero(scores)) <= {1, 2, 3, 4}
    assert scores[3] > 0
    assert scores[5] == 0


def test_the_session_in_progress_is_what_vmis_sees() -> None:
    questions = shop("abab")
    assert session_items(questions, 3) == [2, 1]


def test_session_popularity_counts_the_session_and_fills_up_with_popular_items() -> None:
    train = shop("ce", "ee", "ed")
    questions = shop("abab").where(np.array([3]))
    scores = SessionPopularity(train, len(WORDS)).scores(questions)[0]
    assert np.argsort(-scores)[:3].tolist() == [1, 2, 5]  # a twice, b once, then the popular e


def test_item_knn_knows_what_shares_sessions_with_the_last_item() -> None:
    train = shop(*["abc"] * 5, *["de"] * 5)
    scores = ItemKnn(train, len(WORDS)).scores(shop("eab").where(np.array([2])))[0]
    assert set(np.argsort(-scores)[:2]) == {2, 3}
    assert scores[1] < scores[2]  # never the item itself


def test_als_puts_the_items_of_like_sessions_first() -> None:
    train = shop(*["abc"] * 30, *["de"] * 30)
    scores = Als(train, len(WORDS), factors=4).scores(shop("ab").where(np.array([1])))[0]
    assert set(np.argsort(-scores[1:])[:3] + 1) == {1, 2, 3}


def test_an_item_that_was_never_seen_is_a_miss_however_small_the_catalogue() -> None:
    rank = ranks(np.ones((1, 3), dtype=np.float32), np.array([0]))
    assert summary(rank)["R@20"] == 0


def test_vmis_keeps_the_newest_sessions_of_an_item_only() -> None:
    train = shop("ab", "ac", "ad")
    scores = VmisKnn(train, len(WORDS), m=1).scores(shop("ae").where(np.array([1])))[0]
    assert scores[4] > 0 and scores[2] == scores[3] == 0
