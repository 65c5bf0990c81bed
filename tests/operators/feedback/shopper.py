"""One shopper before the join, as the engine carries it: state as bytes, timers, the broker's time, restarts."""

from collections import Counter
from typing import Any

import numpy as np

from operators.feedback.example_writer import decode_example
from operators.feedback.feedback_join import FeedbackJoin
from operators.feedback.join_limits import Limits, Windows
from operators.feedback.join_records import COUNTED, Forgotten, Joined, Stamp
from operators.feedback.partition_clocks import PartitionClocks
from operators.feedback.served_record import Served, low_hash, pack_served
from operators.records.contracts import Event, Example, Experiment, Model
from operators.shopper.state_layout import stored
from tests.builders import NOW_MS, viewed

MINUTE, HOUR = 60_000, 3_600_000
WINDOWS = Windows(30 * MINUTE, 24 * HOUR, 24 * HOUR)
PARTITION, LAG_MS = 3, 5
STATE = stored(viewed("i1"))


def served(name: str = "r1", *items: str, at: int = 0, **fields: Any) -> Served:
    """A list of these items (i1 to i4 without any), generated `at` ms after `NOW_MS`."""
    given = {
        "recommendation_id": name,
        "epoch": 5,
        "version": 7,
        "generated_at": NOW_MS + at,
        "model": Model("m", "1"),
        "experiments": (Experiment("e", "arm"),),
        "source": "model",
        "items": np.array([low_hash(item) for item in items or ("i1", "i2", "i3", "i4")], dtype=np.uint32),
        "propensities": None,
        "state": STATE,
    }
    return Served(**(given | fields))


class Shopper:
    """A user and their engine. `now`: ms since `NOW_MS`; records are read `LAG_MS` after the broker has stored them."""

    def __init__(self, windows: Windows = WINDOWS, limits: Limits | None = None) -> None:
        self.windows, self.limits = windows, limits
        self.now = 0
        self.state: bytes | None = None
        self.timers: set[int] = set()
        self.values: list[bytes] = []
        self.counts: Counter[str] = Counter()
        self.largest = 0
        self._events = 0
        self.start()

    def start(self) -> None:
        """A new process: state and timers are from the checkpoint."""
        self.join = FeedbackJoin(self.windows, PartitionClocks(NOW_MS + self.now), self.limits)

    @property
    def examples(self) -> list[Example]:
        return [decode_example(value) for value in self.values]

    def labels(self) -> dict[str, str]:
        """Item -> label of its newest example."""
        return {example.item_id: example.label for example in self.examples}

    def at(self, now: int) -> "Shopper":
        """Moves the clock on; timers fire on the way."""
        while due := [timer for timer in self.timers if timer <= NOW_MS + now]:
            self.now = max(self.now, min(due) - NOW_MS)
            self._fire(min(due))
        self.now = max(self.now, now)
        return self

    def after(self, ms: int) -> "Shopper":
        return self.at(self.now + ms)

    def restart(self, away: int = 0) -> "Shopper":
        """The process dies and another one starts `away` ms later; the timers of the time between fire at once."""
        self.now += away
        self.start()
        return self.at(self.now)

    def gets(self, shown: Served) -> "Shopper":
        self._take(self.join.on_served("u1", self.state, pack_served(shown), NOW_MS + self.now))
        return self

    def sees(self, *items: str, name: str | None = "r1", **fields: Any) -> "Shopper":
        return self.does("impression", items=[*items], recommendation_id=name, **fields)

    def does(self, kind: str, item_id: str | None = None, **fields: Any) -> "Shopper":
        """An event that the broker stores now; `since`: its event time, ms from now. `event_id` of its own."""
        self._events += 1
        time_ms = NOW_MS + self.now + fields.pop("since", 0)
        given = {"event_id": f"e{self._events}", "event_type": kind, "event_time": time_ms, "user_id": "u1"}
        return self.reads(Event(**(given | {"item_id": item_id} | fields)), NOW_MS + self.now)

    def reads(self, event: Event, broker_ms: int, partition: int = PARTITION) -> "Shopper":
        """A record of the topic; one that the broker stores now is read a little later."""
        if broker_ms == NOW_MS + self.now:
            self.after(LAG_MS)
        self._take(self.join.on_event("u1", self.state, event, Stamp(partition, broker_ms), NOW_MS + self.now))
        return self

    def forgotten(self, epoch: int = 0) -> "Shopper":
        self._take(self.join.on_forgotten("u1", self.state, Forgotten(NOW_MS + self.now, epoch), NOW_MS + self.now))
        return self

    def waits_out(self) -> "Shopper":
        """Until no timer is left."""
        while self.timers:
            self.at(min(self.timers) - NOW_MS)
        return self

    def _fire(self, timer: int) -> None:
        self.timers.remove(timer)
        self._take(self.join.on_timer("u1", self.state, NOW_MS + self.now))

    def _take(self, joined: Joined) -> None:
        assert set(joined.counts) <= set(COUNTED)
        assert joined.wake_ms is None or joined.wake_ms > NOW_MS + self.now
        self.state = joined.state
        self.values += joined.examples
        self.counts += joined.counts
        self.largest = max(self.largest, len(joined.state or b""))
        if joined.wake_ms is not None:
            self.timers.add(joined.wake_ms)
