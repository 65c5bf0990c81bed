"""The gate asks what `evaluate` asks, of the states that the job would have."""

from pathlib import Path

import numpy as np
import pytest

from model_export.data.dataset import examples, read_events
from model_export.data.splits import drawn_questions
from model_export.gate import questions as gate_questions
from model_export.gate.questions import read_questions
from operators.configuration.shop_settings import EventSettings
from operators.records.contracts import encode_record
from operators.shopper.features import Vocabulary, features
from tests.builders import event
from tests.model_export.gate.shops import ITEMS, write_walks

WORDS = Vocabulary([f"i{number}" for number in range(1, ITEMS + 1)])
LIMITS = EventSettings()


def asked(file: Path, *words: Vocabulary, from_ms: int = 0, seed: int = 7) -> gate_questions.Questions:
    return read_questions(file, words or [WORDS], from_ms, LIMITS, seed, lambda _: None)


def test_the_same_questions_as_evaluate_with_the_same_features(tmp_path: Path) -> None:
    file = write_walks(tmp_path / "events.jsonl")
    basket = [event(5000 + number, "purchase", items=["i3", "i4", "i5"], user_id=f"u{number}") for number in range(9)]
    with file.open("ab") as out:
        out.write(b"".join(encode_record(purchase) + b"\n" for purchase in basket))
    expected = drawn_questions(examples(read_events(file), WORDS), 10**6, 7)
    questions = asked(file)
    assert questions.targets(WORDS).tolist() == expected.target.tolist()
    inputs = features(questions.states, WORDS)
    assert np.array_equal(inputs.items, expected.features.items)
    assert np.array_equal(inputs.length, expected.features.length)
    assert questions.window.questions == len(expected) and questions.window.users == 60


def test_both_bundles_get_the_questions_that_either_can_answer(tmp_path: Path) -> None:
    file = write_walks(tmp_path / "events.jsonl")
    low, high = Vocabulary(WORDS.item_ids[:100]), Vocabulary(WORDS.item_ids[100:])
    questions = asked(file, low, high)
    assert sorted(questions.items) == sorted(asked(file).items)
    assert ((questions.targets(low) > 0) ^ (questions.targets(high) > 0)).all()


def test_of_many_questions_a_fixed_seed_draws_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_walks(tmp_path / "events.jsonl")
    monkeypatch.setattr(gate_questions, "QUESTIONS", 50)
    first, again, other = asked(file), asked(file), asked(file, seed=8)
    assert len(first) == 50 and first.items == again.items != other.items
    assert np.array_equal(first.states, again.states)
    assert first.window.to_ms > 0 and (np.diff(first.states["steps"].astype(int)) >= 0).all()  # oldest first


def test_of_no_example_no_question_is_drawn() -> None:
    none = examples([event(item_id="i1")], WORDS).where(np.zeros(0, dtype=np.int64))
    assert len(drawn_questions(none, 5, 7)) == 0
