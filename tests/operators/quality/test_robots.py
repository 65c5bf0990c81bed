"""Who does more than a person."""

from collections.abc import Iterable

from operators.quality.robots import A_DAY, Activity
from operators.records.contracts import Event
from tests.builders import event


def robots(events: Iterable[Event]) -> set[str]:
    activity = Activity()
    for one in events:
        activity.take(one)
    return activity.robots()


def test_nobody_did_anything() -> None:
    assert robots([]) == set()


def test_many_events_on_one_day_are_a_robots_however_large_the_shop_is() -> None:
    fast = [event(n, user_id="fast") for n in range(A_DAY + 1)]
    shop = [event(n, user_id=f"u{n}") for n in range(100_000)]
    assert robots(fast + shop) == {"fast"}
    shown = [event(n, "impression", user_id="reader", items=["i1"]) for n in range(A_DAY + 1)]
    assert robots(shown + shop) == set()
