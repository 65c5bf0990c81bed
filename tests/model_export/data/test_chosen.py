"""Which items of a list a shopper turned to before the session ended."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model_export.data.chosen import Chosen
from model_export.data.dataset import Examples, examples
from operators.shopper.features import Vocabulary
from tests.builders import NOW_MS, event

WORDS = Vocabulary([f"i{n}" for n in range(5)])


def happened(*acts: tuple[str, int, int]) -> Examples:
    """(user, minute, item) each."""
    return examples(
        [
            event(n, user_id=user, item_id=f"i{item}", event_time=NOW_MS + minute * 60_000)
            for n, (user, minute, item) in enumerate(acts)
        ],
        WORDS,
    )


def test_what_comes_later_in_the_session_is_chosen_and_what_came_before_it_or_after_it_is_not() -> None:
    events = happened(("a", 0, 0), ("a", 1, 1), ("b", 1, 4), ("a", 2, 2), ("a", 100, 3))
    first, second, other, third, next_session = Chosen(events).of(events, np.arange(1, 6)[None].repeat(5, axis=0))
    assert first.tolist() == [True, True, True, False, False]
    assert second.tolist() == [False, True, True, False, False]
    assert other.tolist() == [False, False, False, False, True]
    assert third.tolist() == [False, False, True, False, False]
    assert next_session.tolist() == [False, False, False, True, False]


def test_questions_of_sessions_without_any_choice_have_none() -> None:
    events, strangers = happened(("a", 0, 0), ("b", 1, 1)), happened(("c", 0, 0), ("c", 1, 1), ("c", 2, 2))
    only_a = events.where(events.user == 0)
    rows = np.arange(0, 6)[None]
    assert not Chosen(only_a).of(events.where(events.user == 1), rows).any()
    assert not Chosen(only_a.where(np.zeros(len(only_a), dtype=bool))).of(strangers, rows.repeat(3, axis=0)).any()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 200), st.integers(0, 4)), min_size=1, max_size=30))
def test_it_says_what_a_search_through_all_events_says(acts: list[tuple[str, int, int]]) -> None:
    events = happened(*sorted(acts, key=lambda act: act[1]))
    rows = np.arange(1, 6)
    same_session = (events.user[:, None] == events.user) & (events.session_start_s[:, None] == events.session_start_s)
    later = same_session & (events.time_ms[None] >= events.time_ms[:, None])
    expected = (later[:, :, None] & (events.target[None, :, None] == rows)).any(axis=1)
    assert (Chosen(events).of(events, rows[None].repeat(len(events), axis=0)) == expected).all()
