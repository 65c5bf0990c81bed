from operators.shopper.duplicates import is_duplicate, remember
from operators.shopper.state_layout import EMPTY, EVENT_WINDOW
from operators.shopper.user_state import step
from tests.builders import event, state_after


def test_an_accepted_event_is_a_duplicate_until_the_window_has_passed() -> None:
    record = bytearray(EMPTY)
    for number in range(EVENT_WINDOW + 1):
        assert not is_duplicate(record, 1000 + number)
        remember(record, 1000 + number, number)
    assert not is_duplicate(record, 1000)
    assert all(is_duplicate(record, 1001 + number) for number in range(EVENT_WINDOW))


def test_a_duplicate_changes_nothing() -> None:
    once = state_after(event(0), event(1))
    again = step(once, event(0))
    assert (again.outcome, again.refresh, again.state) == ("duplicate", False, once)
