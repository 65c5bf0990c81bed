"""CPU and bytes of the feedback join: `python -m benchmarks.kernel.feedback_join`.

One user after the other sees lists of 20 items. Each figure is the median of rounds, us of one call; bytes are those of
the state after it.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from operators.configuration.shop_settings import FeedbackSettings
from operators.feedback.feedback_join import FeedbackJoin
from operators.feedback.join_limits import Windows
from operators.feedback.join_records import Joined, Stamp
from operators.feedback.partition_clocks import PartitionClocks
from operators.feedback.served_record import Served, low_hash, pack_served
from operators.records.contracts import Event, Experiment, Model
from operators.shopper.state_layout import stored
from operators.shopper.user_state import step

NOW_MS, CLICK_MS, SIZE, STEPS = 1_760_000_000_000, 1_800_000, 20, 5
NAME = "f" * 32
ROUNDS, CALLS = 15, 200
ITEMS = [f"{50_000 + place}A" for place in range(SIZE)]


class Cost(NamedTuple):
    """A call: its CPU in us, the bytes of the state after it, and of the examples that it wrote."""

    name: str
    cpu_us: float
    state_bytes: int
    example_bytes: int


def main() -> None:
    """Prints a row a call."""
    for cost in costs():
        print(f"{cost.name:<40} {cost.cpu_us:8.1f} us {cost.state_bytes:7d} B {cost.example_bytes:7d} B of examples")


def costs(rounds: int = ROUNDS, calls: int = CALLS) -> list[Cost]:
    """The cost of each kind of input, for a new user and for users with lists that wait."""
    found = []
    served, named = pack_served(_served(NAME)), {"recommendation_id": NAME}
    shown, click = _event("impression", items=ITEMS, **named), _event("click", item_id=ITEMS[3], **named)
    for lists in (0, 8, 32):
        join, state = _with_lists(lists)
        inputs = {
            f"list served; {lists} lists wait": partial(join.on_served, served=served, now_ms=NOW_MS),
            f"impression of {SIZE}; {lists} others wait": partial(_read, join, shown, 0),
            f"click; {lists} others wait": partial(_read, join, click, 1000),
        }
        if not lists:
            bought = _event("purchase", item_id=ITEMS[3], **named)
            inputs[f"click window closes: {SIZE} examples"] = lambda user, state: _read(
                _join(), _event("view", item_id=ITEMS[3]), CLICK_MS + 1, user, state
            )
            inputs["purchase: a correction"] = partial(_read, join, bought, 3 * CLICK_MS)
        for name, call in inputs.items():
            found.append(_cost(name, partial(call, "u", state), rounds, calls))
            state = call("u", state).state
    return found


def _cost(name: str, call: Callable[[], Joined], rounds: int, calls: int) -> Cost:
    seconds = []
    for _ in range(rounds):
        begin = time.process_time()
        for _ in range(calls):
            joined = call()
        seconds.append((time.process_time() - begin) / calls)
    return Cost(name, statistics.median(seconds) * 1e6, len(joined.state or b""), sum(map(len, joined.examples)))


def _join() -> FeedbackJoin:
    return FeedbackJoin(Windows.of(FeedbackSettings(), 24), PartitionClocks(NOW_MS))


def _with_lists(count: int) -> tuple[FeedbackJoin, bytes | None]:
    join, state = _join(), None
    for number in range(count):
        name = f"{number:032x}"
        state = join.on_served("u", state, pack_served(_served(name)), NOW_MS).state
        state = _read(join, _event("impression", items=ITEMS, recommendation_id=name), 0, "u", state).state
    return join, state


def _read(join: FeedbackJoin, event: Event, later_ms: int, user: str, state: bytes | None) -> Joined:
    return join.on_event(user, state, event, Stamp(0, NOW_MS + later_ms), NOW_MS + later_ms)


def _event(kind: str, **fields: object) -> Event:
    return Event(event_id="e", event_type=kind, event_time=NOW_MS, user_id="u", **fields)


def _served(name: str) -> Served:
    """A list of 20 for a shopper of 5 steps, without propensities."""
    state = None
    for number, item in enumerate(ITEMS[:STEPS]):
        event = Event(event_id=f"v{number}", event_type="view", event_time=NOW_MS, user_id="u", item_id=item)
        state = step(state, event).state
    return Served(
        recommendation_id=name,
        epoch=1,
        version=STEPS,
        generated_at=NOW_MS,
        model=Model("online-retail", "2026-11-28"),
        experiments=(Experiment("autumn", "control"),),
        source="model",
        items=np.array([low_hash(item) for item in ITEMS], dtype=np.uint32),
        propensities=None,
        state=stored(state or b""),
    )


if __name__ == "__main__":
    main()
