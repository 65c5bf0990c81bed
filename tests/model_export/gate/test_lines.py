"""Single lines on numbers that are known."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_export.evaluation.served import Served
from model_export.gate.answers import Answers, answers, answers_line
from model_export.gate.answers import _unusable as unusable
from model_export.gate.latency import slower_line
from model_export.gate.list_lines import overlap_line, shared_items
from model_export.gate.quality import AllowedLoss, popularity_line, proven_better, quality_lines
from model_export.gate.questions import Questions
from model_export.gate.report import Window
from model_export.measures.ranking_metrics import NEVER
from operators.configuration.shop_settings import GateLimits
from operators.model.model_bundle import ModelBundle
from operators.shopper.features import Vocabulary
from operators.shopper.state_layout import read_states
from tests.builders import viewed, write_bundle

BEST, ROWS = np.array([[3, 2, 1]], np.float32), np.array([[4, 7, 2]], np.int32)


def of_users(count: int, each: int) -> Questions:
    user = np.repeat(np.arange(count), each)
    window = Window("events.jsonl", 0, 1, len(user), count)
    return Questions(Vocabulary(["i1"]), np.zeros(len(user)), ["i1"] * len(user), user, window)


def ranks(hits: int, of: int) -> Any:
    """Of each `of` questions `hits` have the first rank, spread over the questions."""
    return np.where(np.arange(2000) % of < hits, 1, NEVER)


@pytest.mark.parametrize(("hits", "passed", "says"), [(98, True, "0.9800"), (90, False, "keep the champion")])
def test_a_loss_within_the_margin_passes_and_a_greater_one_does_not(hits: int, passed: bool, says: str) -> None:
    lines = quality_lines(ranks(hits, 100), ranks(100, 100), of_users(500, 4), AllowedLoss(0.05, 0), 7)
    assert {line.passed for line in lines} == {passed} and says in lines[0].why
    assert lines[0].interval is not None and lines[0].interval[0] < hits / 100 - 1 < lines[0].interval[1]


def test_where_the_window_leaves_both_possible_the_candidate_waits() -> None:
    chance = np.random.default_rng(1)
    candidate, champion = (np.where(chance.random(40) < 0.5, 1, NEVER) for _ in range(2))
    lines = quality_lines(candidate, champion, of_users(40, 1), AllowedLoss(0.03, 0), 7)
    assert not any(line.passed for line in lines)
    assert lines[0].interval is not None and lines[0].interval[1] > 0 and "longer window" in lines[0].why


def test_a_small_step_need_not_prove_that_it_does_no_harm() -> None:
    """A light round has few questions: an equal candidate would wait for ever, one that is worse must not pass."""
    chance, allowed = np.random.default_rng(1), AllowedLoss(0.03, 0.005, proven=False)
    champion = np.where(chance.random(100) < 0.5, 1, NEVER)
    other = champion.copy()
    other[[3, 7]] = champion[[3, 7]][::-1]
    worse = np.where(np.arange(100) < 60, champion, NEVER)
    small = of_users(100, 1)
    assert not any(line.passed for line in quality_lines(other, champion, small, AllowedLoss(0.03, 0.005), 7))
    assert all(line.passed for line in quality_lines(other, champion, small, allowed, 7))
    assert not any(line.passed for line in quality_lines(worse, champion, small, allowed, 7))
    lost = quality_lines(ranks(98, 100), ranks(100, 100), of_users(500, 4), allowed, 7)
    assert all(line.passed for line in lost), "a loss that is proven, and proven to be small"


def test_a_share_of_a_champion_that_finds_next_to_nothing_is_not_the_limit() -> None:
    """Of two models that find a question in a hundred, one finds others than the other."""
    candidate, champion = ranks(1, 100), np.roll(ranks(1, 100), 50)
    strict, lenient = (
        quality_lines(candidate, champion, of_users(500, 4), AllowedLoss(0.03, always), 7) for always in (0, 0.01)
    )
    assert not any(line.passed for line in strict) and all(line.passed for line in lenient)
    assert lenient[0].limit == -0.01


def test_better_is_proven_by_all_three_and_where_nothing_can_be_gained_by_the_others() -> None:
    shop, allowed = of_users(500, 4), AllowedLoss(0.03, 0)
    first, second, tenth = (np.full(2000, rank) for rank in (1, 2, 10))
    assert proven_better(quality_lines(first, ranks(50, 100), shop, allowed, 7))
    assert proven_better(quality_lines(first, second, shop, allowed, 7)), "the champion hits everything"
    assert not proven_better(quality_lines(first, first, shop, allowed, 7))
    mixed = np.where(np.arange(2000) % 10 == 0, NEVER, 1)
    assert not proven_better(quality_lines(mixed, tenth, shop, allowed, 7)), "it misses what the champion hits"


@pytest.mark.parametrize(("rank", "passed"), [(1, True), (3, False), (5, False)])
def test_in_a_shop_of_a_few_items_a_model_must_place_them_better_than_the_popular_list(
    tmp_path: Path, rank: int, passed: bool
) -> None:
    """Eight items: both lists hold them all, so that hit@20 is 1."""
    bundle = ModelBundle.load(write_bundle(tmp_path / "bundle"))
    third = bundle.vocabulary.item_ids[bundle.popular[2] - 1]
    questions = dataclasses.replace(of_users(200, 1), items=[third] * 200)
    assert popularity_line(np.full(200, rank), bundle, questions, 7).passed is passed


@pytest.mark.parametrize(
    ("scores", "rows", "bad"),
    [
        (BEST, ROWS, False),
        (np.array([[3, np.nan, 1]], np.float32), ROWS, True),
        (np.array([[np.inf, 2, 1]], np.float32), ROWS, True),
        (BEST[:, ::-1], ROWS, True),
        (BEST, np.array([[4, 4, 2]], np.int32), True),
        (BEST, np.array([[4, 0, 2]], np.int32), True),
        (BEST, np.array([[4, 9, 2]], np.int32), True),
    ],
)
def test_what_cannot_be_served(scores: Any, rows: Any, bad: bool) -> None:
    assert unusable(scores, rows, items=8).tolist() == [bad]
    given = Answers(None, scores, rows, rows[:, 0], np.array([not bad]), np.array([bad]))  # type: ignore[arg-type]
    assert answers_line([given]).passed is not bad


def test_who_gets_no_usable_answer_gets_the_popular_list(tmp_path: Path) -> None:
    served = Served(ModelBundle.load(write_bundle(tmp_path / "bundle", nan_for=6)))
    window = Window("events.jsonl", 0, 1, 2, 2)
    states = read_states([viewed("i5"), viewed("i6")])
    given = answers(served, Questions(served.bundle.vocabulary, states, ["i4", "i3"], np.arange(2), window))
    assert given.unusable.tolist() == [False, True] and given.warm.tolist() == [True, False]
    assert given.rows[1].tolist() == served.bundle.popular.tolist() and given.rank[1] == 3


def test_shared_items_are_counted_at_any_place_and_padding_is_none() -> None:
    ours, theirs = np.array([[1, 2, 3, 0], [1, 2, 3, 4]]), np.array([[3, 9, 1, 0], [4, 3, 2, 1]])
    shared = shared_items(ours, theirs)
    assert shared.tolist() == [2, 4]
    assert overlap_line(shared, 4, GateLimits(min_overlap=0.75)).passed
    assert not overlap_line(shared, 4, GateLimits(min_overlap=0.76)).passed


def test_a_few_batches_that_the_machine_held_up_change_no_verdict() -> None:
    even = [1.0] * 41
    assert slower_line([1.9] * 25 + [50.0] * 16, even, GateLimits()).passed
    assert not slower_line([2.1] * 25 + [0.1] * 16, even, GateLimits()).passed
