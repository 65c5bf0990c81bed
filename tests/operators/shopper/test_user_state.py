from hypothesis import given, settings
from hypothesis import strategies as st

from operators.records.contracts import Event
from operators.shopper.state_layout import (
    CONSENT_REFUSED,
    EVENT_WINDOW,
    HISTORY,
    SIZE,
    STATE,
    migrate,
    read_states,
    stored,
)
from operators.shopper.user_state import (
    KINDS,
    digest,
    erase,
    erased_ms,
    holds_anything,
    id_hash,
    order_of,
    session_start_s,
    step,
    version_of,
)
from tests.builders import NOW_MS, event, state_after
from tests.operators.shopper.state_fields import fields


def test_a_state_is_one_record_of_little_over_a_kibibyte() -> None:
    assert STATE.itemsize == SIZE <= 1200
    assert len(state_after(event())) == SIZE


def test_an_event_enters_the_history() -> None:
    record = fields(state_after(event(0, item_id="i7"), event(1, "add_to_cart", item_id="i8")))
    assert record["item"][:2].tolist() == [id_hash("i7"), id_hash("i8")]
    assert record["kind"][:2].tolist() == [KINDS["view"], KINDS["add_to_cart"]]
    assert record["second"][1] == NOW_MS // 1000 + 1


def test_the_history_keeps_the_last_steps() -> None:
    record = fields(state_after(*(event(n, item_id=f"i{n}") for n in range(HISTORY + 3))))
    kept = set(record["item"].tolist())
    assert kept == {id_hash(f"i{n}") for n in range(3, HISTORY + 3)}


def test_an_impression_counts_what_was_shown_and_not_a_version() -> None:
    state = state_after(event(0), event(1, "impression", items=["i2", "i3"]), event(2, "impression", items=["i2"]))
    record = fields(state)
    shown = dict(zip(record["shown_item"].tolist(), record["shown"].tolist(), strict=True))
    assert version_of(state) == 1
    assert shown[id_hash("i2") & 0xFFFFFFFF] == 2
    assert shown[id_hash("i3") & 0xFFFFFFFF] == 1


def test_a_click_forgets_that_an_item_was_shown_in_vain() -> None:
    state = state_after(event(0, "impression", items=["i2"]), event(1, "click", item_id="i2"))
    assert fields(state)["shown"].sum() == 0


def test_the_top_of_a_long_list_is_what_is_remembered_as_shown() -> None:
    items = [f"i{n}" for n in range(40)]
    record = fields(state_after(event(0, "impression", items=items)))
    assert id_hash("i0") & 0xFFFFFFFF in record["shown_item"].tolist()
    assert id_hash("i39") & 0xFFFFFFFF not in record["shown_item"].tolist()


def test_a_purchase_marks_items_as_bought_and_adds_those_that_came_without_a_cart_event() -> None:
    state = state_after(event(0, "add_to_cart", item_id="i1"), event(1, "purchase", items=["i1", "i2"]))
    record = fields(state)
    assert {id_hash("i1") & 0xFFFFFFFF, id_hash("i2") & 0xFFFFFFFF} <= set(record["bought"].tolist())
    assert record["steps"] == 2
    assert record["kind"][1] == KINDS["purchase"]


def test_a_pause_starts_a_new_session() -> None:
    first = state_after(event(0), event(1))
    second = step(first, event(2, event_time=NOW_MS + 3_600_000)).state
    assert session_start_s(first) == NOW_MS // 1000
    assert session_start_s(second) == NOW_MS // 1000 + 3600


def test_consent_can_be_refused_and_given_again() -> None:
    refused = state_after(event(0, "consent", context={"personalisation": "denied"}))
    given_again = step(refused, event(1, "consent", context={"personalisation": "granted"})).state
    assert fields(refused)["flags"] & CONSENT_REFUSED
    assert not fields(given_again)["flags"] & CONSENT_REFUSED


def test_an_erasure_leaves_its_time_and_the_version_alone() -> None:
    state = state_after(event(0), event(1, "purchase", items=["i2"]))
    erased = erase(state, NOW_MS + 5000)
    record = fields(erased)
    assert version_of(erased) == 2
    assert erased_ms(erased) == NOW_MS + 5000
    assert not any(record[name].any() for name in ("item", "kind", "second", "event_hash", "bought", "shown_item"))
    assert not record["flags"]


def test_an_erasure_keeps_a_refusal_of_consent() -> None:
    refused = state_after(event(0), event(1, "consent", context={"personalisation": "denied"}))
    assert fields(erase(refused, NOW_MS + 5000))["flags"] == CONSENT_REFUSED


def test_a_state_that_begins_again_has_a_greater_epoch() -> None:
    """After a time to live the engine has nothing: the reader still knows version 57 of the epoch before."""
    before = step(None, event(0), arrived_ms=NOW_MS).state
    for number in range(1, 57):
        before = step(before, event(number), arrived_ms=NOW_MS + number * 1000).state
    after = step(None, event(99, event_time=NOW_MS - 1000), arrived_ms=NOW_MS + 99_000).state
    assert order_of(before) == (NOW_MS // 1000, 57)
    assert order_of(after) == (NOW_MS // 1000 + 99, 1)
    assert order_of(stored(after)) == order_of(after) > order_of(before)


def test_who_was_idle_for_too_long_is_new_at_whatever_pace_the_events_are_read() -> None:
    day = 86_400_000
    state = step(None, event(0), arrived_ms=NOW_MS, time_to_live_ms=day).state
    state = step(state, event(1, event_time=NOW_MS + day), arrived_ms=NOW_MS + day, time_to_live_ms=day).state
    assert order_of(state) == (NOW_MS // 1000, 2)
    late = step(state, event(2, event_time=NOW_MS + day), arrived_ms=NOW_MS + 2 * day + 1, time_to_live_ms=day)
    assert order_of(late.state) == ((NOW_MS + 2 * day) // 1000, 1)
    erased = erase(state, NOW_MS + day + 5)
    assert step(
        erased, event(3, event_time=NOW_MS + day), arrived_ms=NOW_MS + 2 * day, time_to_live_ms=day
    ).outcome == ("erased"), "the mark of an erasure lives as long"


def test_who_was_only_shown_something_is_not_forgotten_for_that() -> None:
    shown = step(None, event(0, "impression", items=["i1"]), arrived_ms=NOW_MS, time_to_live_ms=1000).state
    after = step(shown, event(1, "impression", items=["i1"]), arrived_ms=NOW_MS + 1000, time_to_live_ms=1000).state
    assert fields(after)["shown"][0] == 2


def test_an_erasure_begins_an_epoch_however_soon_it_comes() -> None:
    state = step(None, event(0), arrived_ms=NOW_MS).state
    once = erase(state, NOW_MS + 1)
    assert order_of(once) == (NOW_MS // 1000 + 1, 1)
    assert order_of(erase(once, NOW_MS + 2)) > order_of(once)
    assert order_of(erase(None, NOW_MS)) == (NOW_MS // 1000, 0)


def test_what_a_state_holds_of_its_user() -> None:
    assert holds_anything(state_after(event(0)))
    assert holds_anything(stored(state_after(event(0, "impression", items=["i2"]))))
    assert not holds_anything(erase(state_after(event(0)), NOW_MS + 5000))
    assert not holds_anything(erase(None, NOW_MS))


def test_an_event_from_before_an_erasure_stays_out_and_a_newer_one_enters() -> None:
    erased = erase(state_after(event(0)), NOW_MS + 5000)
    late, new = step(erased, event(3)), step(erased, event(9))
    assert (late.outcome, late.state) == ("erased", erased)
    assert (new.outcome, new.version) == ("applied", 2)


def test_an_old_erasure_that_is_read_again_keeps_what_came_since() -> None:
    state = step(erase(state_after(event(0)), NOW_MS + 5000), event(9, item_id="i9")).state
    assert erase(state, NOW_MS + 5000) == state
    first_seen_late = erase(state_after(event(0), event(9, item_id="i9")), NOW_MS + 5000)
    assert fields(first_seen_late)["item"][0] == id_hash("i9")
    assert fields(first_seen_late)["steps"] == 1


kinds = st.sampled_from(
    [
        "view",
        "click",
        "impression",
        "add_to_cart",
        "remove_from_cart",
        "purchase",
        "search",
        "rate",
        "identify",
        "consent",
    ]
)


ids = st.integers(0, 30).map(lambda n: f"i{n}")


@st.composite
def any_event(draw: st.DrawFn) -> Event:
    return event(
        draw(st.integers(0, 60)),
        draw(kinds),
        item_id=draw(ids),
        items=draw(st.none() | st.lists(ids, max_size=25)),
        event_time=NOW_MS + draw(st.integers(-(10**9), 10**9)),
        session_id=draw(st.sampled_from([None, "s1", "s2"])),
        quantity=draw(st.sampled_from([None, 1, -1])),
        rating=draw(st.sampled_from([None, 1, 5])),
        context=draw(st.sampled_from([None, {"personalisation": "denied"}, {"personalisation": "granted"}])),
    )


@settings(max_examples=300)
@given(st.lists(any_event(), max_size=80))
def test_any_events_in_any_order_are_counted_exactly(events: list[Event]) -> None:
    """The version counts accepted events, a state never depends on how it was cut into steps, and sizes hold."""
    state, recent, accepted, duplicates = None, [], 0, 0
    for one in events:
        expected_duplicate = one.event_id in recent[-EVENT_WINDOW:]
        done = step(state, one)
        assert (done.outcome == "duplicate") == expected_duplicate
        if expected_duplicate:
            duplicates += 1
        else:
            recent.append(one.event_id)
            accepted += one.event_type != "impression"
        state = done.state
        assert len(state) == SIZE
        assert version_of(state) == done.version == accepted
    assert len(recent) + duplicates == len(events)


@settings(max_examples=100)
@given(st.lists(any_event(), min_size=1, max_size=EVENT_WINDOW), st.data())
def test_replaying_what_is_inside_the_window_changes_nothing(events: list[Event], data: st.DataObject) -> None:
    """A crash makes Kafka deliver again: whatever was applied and is delivered again is a duplicate."""
    state = state_after(*events)
    again = data.draw(st.lists(st.sampled_from(events), max_size=20))
    after = state
    for one in again:
        after = step(after, one).state
    assert digest(after) == digest(state)


@settings(max_examples=100)
@given(st.lists(any_event(), max_size=60))
def test_a_record_survives_the_numpy_round_trip(events: list[Event]) -> None:
    state = None
    for one in events:
        state = step(state, one).state
    if state is not None:
        assert read_states([state, stored(state)]).tobytes() == state * 2


@settings(max_examples=200)
@given(st.lists(any_event(), min_size=1, max_size=80), st.sets(st.integers(0, 79)), st.integers(-(10**9), 10**9))
def test_a_state_that_is_stored_between_events_goes_on_as_one_that_is_not(
    events: list[Event], kept: set[int], erased_at: int
) -> None:
    through, plain = None, None
    for number, one in enumerate(events):
        through, plain = step(through, one).state, step(plain, one).state
        through = stored(through) if number in kept else through
    assert through is not None and plain is not None
    assert migrate(through) == migrate(stored(plain)) == plain
    erased = erase(stored(plain), NOW_MS + erased_at)
    assert erased == erase(plain, NOW_MS + erased_at) == migrate(stored(erased))
