"""What a champion has learned, and where the next lesson ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_export.follow.learned import Learned, WindowSize, cut, questions_of
from model_export.follow.stored_records import EARLIER, StoredEvent
from operators.errors import EventsFileError
from operators.records.contracts import EVENTS
from operators.shopper.features import Vocabulary
from tests.builders import NOW_MS, event


def stored(*places: tuple[int, int, int]) -> list[StoredEvent]:
    """Events at (partition, offset, second), by time."""
    ordered = sorted(places, key=lambda place: place[2])
    return [StoredEvent(p, offset, event(second, event_id=f"{p}-{offset}")) for p, offset, second in ordered]


def test_a_bundle_of_a_full_training_has_learned_all_before_its_test() -> None:
    learned = Learned({"trained_on": {"to_ms": NOW_MS + 2000}})
    assert [learned.has(one) for one in stored((0, 0, 1), (0, 1, 2))] == [True, False]


def test_a_candidate_has_learned_by_offset() -> None:
    learned = Learned({"trained_on": {"to_ms": NOW_MS}, "trained_to": {EVENTS: {"0": 5}}})
    assert learned.has(StoredEvent(0, 4, event(-1))) and not learned.has(StoredEvent(0, 5, event(-99)))
    assert learned.has(StoredEvent(1, 9, event(-1))), "of a partition that it does not name the time decides"


def test_on_a_topic_that_was_created_anew_the_time_tells_what_is_new() -> None:
    """The new topic begins at offset 0, which the champion's offsets call learned for weeks."""
    learned = Learned({"trained_on": {"to_ms": NOW_MS}, "trained_to": {EVENTS: {"0": 5000}}})
    made = cut(stored(*((0, number, number) for number in range(20))), learned, {0: 20})
    assert not made.learned and made.new == set(range(18)) and made.trained_to == {0: 18}


def test_of_events_of_an_earlier_topic_the_time_decides() -> None:
    learned = Learned({"trained_on": {"to_ms": NOW_MS + 2000}, "trained_to": {EVENTS: {"0": 5}}})
    earlier = [StoredEvent(EARLIER, 7000 + number, event(number)) for number in range(10)]
    made = cut([*earlier, *(StoredEvent(0, number, event(10 + number)) for number in range(10))], learned, {0: 10})
    assert made.learned == {0, 1} and made.new == set(range(2, 18)) and made.trained_to == {0: 8}


def test_the_newest_tenth_waits_for_the_next_round() -> None:
    made = cut(stored(*((0, number, number) for number in range(20))), Learned({}), {0: 20, 1: 3})
    assert made.trained_to == {0: 18, 1: 3} and made.new == set(range(18)) and made.newest_ms == NOW_MS + 18_000


@pytest.mark.parametrize(
    ("least", "users", "begins", "window"),
    [
        (WindowSize(1, 1), 20, 18, WindowSize(2, 2)),
        (WindowSize(6, 1), 20, 14, WindowSize(6, 6)),
        (WindowSize(1, 3), 20, 17, WindowSize(3, 3)),
        (WindowSize(2, 2), 1, 10, WindowSize(10, 1)),
        (WindowSize(99, 1), 20, 10, WindowSize(10, 10)),
    ],
)
def test_the_gates_window_holds_enough_questions_and_at_most_half_of_what_is_new(
    least: WindowSize, users: int, begins: int, window: WindowSize
) -> None:
    """Twenty new events; each of them is a question."""
    events, asked = stored(*((0, number, number) for number in range(20))), {n: f"u{n % users}" for n in range(20)}
    made = cut(events, Learned({}), {0: 20}, asked, least)
    assert made.newest_ms == NOW_MS + 1000 * begins and made.window == window
    assert made.window.holds(least) is (begins > 10)


def test_a_light_round_begins_where_the_champions_counts_end() -> None:
    events = stored(*((0, number, number) for number in range(20)))
    made = cut(events, Learned({}), {0: 20}, from_ms=NOW_MS + 10_000)
    assert made.new == set(range(10, 19)) and made.newest_ms == NOW_MS + 19_000
    with pytest.raises(EventsFileError, match="not learned"):
        cut(events, Learned({}), {0: 20}, from_ms=NOW_MS + 20_000)


def test_a_question_wants_a_known_item_after_another_one() -> None:
    acts = [("view", "i1"), ("view", "new"), ("search", None), ("view", "i2"), ("impression", None)]
    events = [event(number, kind, item_id=item) for number, (kind, item) in enumerate(acts)]
    events.append(event(9, user_id="other", item_id="i1"))
    assert questions_of(events, Vocabulary(["i1", "i2"]), 3.0) == [False, False, False, True, False, False]


def test_nothing_new_is_said() -> None:
    with pytest.raises(EventsFileError, match="not learned"):
        cut(stored((0, 0, 1)), Learned({"trained_on": {"to_ms": NOW_MS + 9000}}), {0: 1})


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50)), min_size=3, max_size=60), st.integers(1, 5))
def test_over_any_rounds_each_event_is_learned_at_most_once_and_never_before_the_gate_saw_it(
    arrivals: list[tuple[int, int]], rounds: int
) -> None:
    offsets, log = dict[int, int](), list[tuple[int, int, int]]()
    for partition, second in arrivals:
        log.append((partition, offsets.get(partition, 0), second))
        offsets[partition] = offsets.get(partition, 0) + 1
    manifest: dict[str, object] = {}
    until_ms = 0
    seen = list[str]()
    for number in range(1, rounds + 1):
        held = stored(*log[: len(log) * number // rounds])
        read_to = {
            p: 1 + max(one.offset for one in held if one.partition == p) for p in {one.partition for one in held}
        }
        try:
            made = cut(held, Learned(manifest), read_to)
        except EventsFileError:
            continue
        seen += [held[place].event.event_id for place in made.new]
        assert all(int(held[place].event.event_time) < made.newest_ms for place in made.new)
        offsets_of = {str(partition): offset for partition, offset in made.trained_to.items()}
        until_ms = max(until_ms, made.newest_ms)
        manifest = {"trained_on": {"to_ms": until_ms}, "trained_to": {EVENTS: offsets_of}}
    assert len(seen) == len(set(seen))
