"""What the crash simulation needs around the kernel: lists that say who made them, silent sensors, what a checkpoint keeps."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from operators.configuration.shop_settings import EventSettings, ExperimentSettings
from operators.lists.encoded_list import Encoded, ListEncoder, Slate
from operators.lists.experiments import Experiments
from operators.lists.request import Request
from operators.records.contracts import ERASURES, ORDER_HEADER, Model
from operators.records.event_decode import EventDecoder
from operators.refresh.batch_scorer import LocalScorer
from operators.refresh.micro_batcher import MicroBatcher
from operators.refresh.refresh_records import InputRecord, Output, Turn
from operators.refresh.refresh_sensors import NullSensors
from operators.shopper.user_state import erase, list_is_owed, order_of, step
from tests.builders import NOW_MS

Order = tuple[int, int]


class Lists:
    """Names who made a list; what is on it does not matter here."""

    def __init__(self) -> None:
        self._encoder = ListEncoder(Model("m", "1"), Experiments(ExperimentSettings()), 0)

    def make(self, request: Request, source: Any = "model") -> Encoded:
        return self._encoder.encode(request, order_of(request.state), Slate(source, b"[]"), NOW_MS)

    def encoded_fallback(self, request: Request, *, with_digest: bool) -> Encoded:
        return self.make(request, "popular")


class Sensors(NullSensors):
    def on_record(self, outcome: str) -> None: ...
    def on_dead_letter(self, reason: str) -> None: ...
    def on_event(self, event: Any, version: int) -> None: ...

    def on_lists(self, lists: Sequence[tuple[Encoded, Request]], emitted_s: float) -> None: ...
    def on_fallback(self, cause: str) -> None: ...
    def on_rewritten(self) -> None: ...
    def on_own_error(self, where: str) -> None:
        assert where == "submit", where


class Scorer(LocalScorer[Request, Encoded]):
    """One that may be lost with all that it was sent."""

    lost: Exception | None = None

    def receive(self, wait_s: float) -> list[Encoded | Exception] | None:
        if self.lost:
            raise self.lost
        return super().receive(wait_s)


class Batcher(MicroBatcher[Request, Encoded]):
    """One whose `submit` may refuse, as in a hang, or raise, as a bug would."""

    fault: str | None = None

    def submit(self, requests: Mapping[str, Request]) -> list[str]:
        if self.fault == "raises":
            raise RuntimeError("a bug")
        return list(requests) if self.fault else super().submit(requests)


@dataclass
class Kept:
    """What a checkpoint holds. `own`: users with a promise that this process set, one each; `promises`: restored ones."""

    position: int = 0
    states: dict[str, bytes] = field(default_factory=dict)
    promises: list[str] = field(default_factory=list)
    own: set[str] = field(default_factory=set)
    buffered: list[Turn] = field(default_factory=list)  # read or fired, and not handed to the logic yet
    outputs: int = 0

    @property
    def timers(self) -> list[str]:
        """The users of all promises."""
        return sorted([*self.promises, *self.own])

    def fire(self, user: str) -> None:
        """A promise of a user fires; of several, a restored one."""
        if user in self.promises:
            self.promises.remove(user)
        else:
            self.own.remove(user)

    def restored(self) -> "Kept":
        """What a new process gets: it has set no promise."""
        kept = copy.deepcopy(self)
        kept.promises, kept.own = kept.timers, set()
        return kept


def order_and_source(output: Output) -> tuple[Order, str]:
    """Of a list or a tombstone."""
    epoch, version = map(int, (output.headers or {})[ORDER_HEADER].decode().split("."))
    if output.value is None:
        return (epoch, version), "erased"
    made = json.loads(output.value)
    assert (made["epoch"], made["version"]) == (epoch, version)
    return (epoch, version), made["source"]


def broker_ms(number: int) -> int:
    """The broker's time of a record of the log."""
    return NOW_MS + number * 1000


def expected(log: list[InputRecord]) -> tuple[dict[str, bytes], dict[str, Order | None]]:
    """States after a straight replay, and the order of each user's newest list (None: erased, and nothing came since)."""
    decoder, states, lists = EventDecoder(EventSettings()), {}, {}
    for record in log:
        assert record.value is not None
        if record.topic == ERASURES:
            state = erase(states.get(record.user), record.broker_ms)
            states[record.user] = state
            lists[record.user] = order_of(state) if list_is_owed(state) else None
        elif record.value != b"{":
            event = decoder.decode(record.user, record.value, record.broker_ms)
            done = step(states.get(record.user), event, EventSettings().session_gap_ms, record.broker_ms)
            states[record.user] = done.state
            if done.refresh:
                lists[record.user] = order_of(done.state)
    return states, lists
