"""The measures against values by hand, and what judgments may be."""

import math
from pathlib import Path

import pytest

from operators.errors import SearchError
from operators.search.quality.evaluation import METHODS, Quality, evaluate, quality, read_judgments
from operators.search.quality.measures import ndcg, recall
from tests.operators.search.shop import ITEMS, engine_of


def test_ndcg_by_hand() -> None:
    grades = {"a": 1.0, "b": 0.5, "c": 0.0}
    best = 1 + 0.5 / math.log2(3)
    assert ndcg(["a", "b"], grades) == 1
    assert ndcg(["b", "a"], grades) == pytest.approx((0.5 + 1 / math.log2(3)) / best)
    assert ndcg(["x", "a"], grades) == pytest.approx((1 / math.log2(3)) / best), "an unjudged item counts 0"
    assert ndcg([], grades) == 0
    assert ndcg(["x"] * 10 + ["a"], grades) == 0, "the eleventh place does not count"
    assert ndcg(["a"], {"a": 0.0}) is None


def test_recall_by_hand() -> None:
    grades = {"a": 1.0, "b": 0.1, "c": 0.09}
    assert recall(["c", "b"], grades) == 0.5
    assert recall(["x"] * 100 + ["a", "b"], grades) == 0
    assert recall(["c"], {"c": 0.09}) is None


def test_a_query_that_finds_nothing_counts_as_zero_and_one_without_a_grade_in_no_mean() -> None:
    judgments = {"q": {"a": 1.0}, "nothing": {"a": 1.0}, "unjudged": {"a": 0.0}}
    assert quality({"q": ["a"], "nothing": [], "unjudged": []}, judgments) == Quality(0.5, 0.5, 2)


def test_the_methods_are_compared_on_one_catalogue() -> None:
    judgments = {"lantern": {"i1": 1.0, "i2": 1.0}, "lantren": {"i1": 1.0}, "laptop": {"i5": 1.0}}
    answer = evaluate(engine_of(), ITEMS, judgments)
    assert tuple(answer) == METHODS
    assert answer["text"] is None and answer["fused"] == answer["bm25"]
    substring, bm25 = answer["substring"], answer["bm25"]
    assert substring is not None and substring.zero == 1 and substring.recall == pytest.approx(2 / 3)
    assert bm25 is not None and bm25.as_json() == {"ndcg@10": 1.0, "recall@100": 1.0, "zero": 0}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"query": "q", "item_id": "a"}', "line 2"),
        ('{"query": "q", "item_id": "a", "grade": 1.5}', "the grade 1.5"),
        ('{"query": "q", "item_id": "a", "grade": "1"}', "grade"),
        ("nonsense", "line 2"),
    ],
)
def test_a_bad_judgment_is_refused_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "judgments.jsonl"
    file.write_text('{"query": "q", "item_id": "a", "grade": 1}\n' + line + "\n")
    with pytest.raises(SearchError) as refused:
        read_judgments(file)
    assert said in str(refused.value)


def test_a_file_without_judgments_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    for file in ("empty.jsonl", "none.jsonl"):
        with pytest.raises(SearchError):
            read_judgments(tmp_path / file)
