"""What the crash simulation needs around the kernel: lists that say who made them, silent sensors, what a checkpoint keeps."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from operators.configuration.shop_settings import EventSettings, ExperimentSettings
from operators.experiments.assignment import Experiments
from operators.feedback.join_entries import (
    JOINED_TYPES,
    ClocksEntry,
    EventEntry,
    ForgottenEntry,
    JoinEntry,
    ServedEntry,
    decode_entry,
)
from operators.feedback.served_record import read_head, read_served
from operators.lists.encoded_list import Encoded, ListEncoder, Slate
from operators.lists.request import Request
from operators.records.contracts import ERASURES, EVENTS, ORDER_HEADER, Model
from operators.records.event_decode import EventDecoder
from operators.refresh.batch_scorer import LocalScorer
from operators.refresh.feedback_outputs import FeedbackOutputs
from operators.refresh.micro_batcher import MicroBatcher
from operators.refresh.refresh_records import BatchActions, InputRecord, Output, Turn
from operators.refresh.refresh_sensors import NullSensors
from operators.shopper.state_layout import migrate
from operators.shopper.user_state import erase, list_is_owed, order_of, step
from tests.builders import NOW_MS

Order = tuple[int, int]
UserEntry = tuple[str, JoinEntry]
FEEDBACK = FeedbackOutputs(lambda: Model("m", "1"))


class Lists:
    """Names who made a list; what is on it does not matter here."""

    def __init__(self) -> None:
        self._encoder = ListEncoder(Model("m", "1"), Experiments(ExperimentSettings()), 0)

    def make(self, request: Request, source: Any = "model") -> Encoded:
        return self._encoder.encode(request, order_of(request.state), Slate(source, b"[]", b""), NOW_MS)

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
    own: dict[str, tuple[float, float]] = field(default_factory=dict)  # user -> when it was set, when it fires, s
    buffered: list[Turn] = field(default_factory=list)  # read or fired, and not handed to the logic yet
    outputs: int = 0
    entries: list[UserEntry] = field(default_factory=list)  # all that the feedback join has been told: its state

    @property
    def timers(self) -> list[str]:
        """The users of all promises."""
        return sorted([*self.promises, *self.own])

    def set(self, actions: BatchActions, seconds: float) -> None:
        """Takes promises back and sets others; `seconds`: now."""
        for user in actions.kept:
            self.own.pop(user, None)
        self.own |= {user: (seconds, seconds + ms / 1000) for user, ms in actions.promises.items()}

    def is_looked_at(self, user: str, by_s: float) -> bool:
        """Whether a promise of the user fires by then, or a moment after it was set, or has fired in this batch."""
        if user in self.promises or any(turn.user == user and turn.record is None for turn in self.buffered):
            return True
        set_s, fires_s = self.own[user]
        return fires_s <= max(by_s, set_s) + 0.002

    def fire(self, user: str) -> None:
        """A promise of a user fires; of several, a restored one."""
        if user in self.promises:
            self.promises.remove(user)
        else:
            del self.own[user]

    def restored(self) -> "Kept":
        """What a new process gets: it has set no promise."""
        kept = copy.deepcopy(self)
        kept.promises, kept.own = kept.timers, {}
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


def entries_of(outputs: Sequence[Output]) -> list[UserEntry]:
    """What a batch tells the feedback join: of each list of the batch, among others."""
    entries = [
        (output.key.decode(), decode_entry(output.value))
        for output in outputs
        if output.kind == "feedback" and output.key is not None and output.value is not None
    ]
    lists = [
        json.loads(output.value)["recommendation_id"] for output in outputs if output.kind == "list" and output.value
    ]
    served = [read_head(entry.record).recommendation_id for _, entry in entries if isinstance(entry, ServedEntry)]
    assert served == lists
    return entries


def check_entries(entries: list[UserEntry], log: list[InputRecord], newest: dict[str, Order | None]) -> None:
    """The join has been told what a straight replay of the log tells it, each user's records in their order, of each list
    that readers have, and of no record from before a clock that it knows."""
    told: dict[str, list[JoinEntry]] = {}
    clocks_ms, served = dict[int, int](), set[tuple[str, Order]]()
    for user, entry in entries:
        if isinstance(entry, ClocksEntry):
            clocks_ms |= entry.newest_ms
        elif isinstance(entry, ServedEntry):
            made = read_served(entry.record)
            served.add((user, (made.epoch, made.version)))
            assert order_of(made.state) == (made.epoch, made.version)
        else:
            told.setdefault(user, []).append(entry)
            assert not isinstance(entry, EventEntry) or entry.broker_ms > clocks_ms.get(entry.partition, 0)
    assert told == _entries_of_replay(log)
    assert clocks_ms == {record.partition: record.broker_ms for record in log if record.topic == EVENTS}
    assert {(user, order) for user, order in newest.items() if order is not None} <= served


def _entries_of_replay(log: list[InputRecord]) -> dict[str, list[JoinEntry]]:
    decoder, states, entries = EventDecoder(EventSettings()), dict[str, bytes](), dict[str, list[JoinEntry]]()
    for record in log:
        state, user = states.get(record.user), record.user
        assert record.value is not None
        if record.topic == ERASURES:
            states[user] = erase(state, record.broker_ms)
            if state is None or states[user] != migrate(state):
                forgotten = ForgottenEntry(record.broker_ms, order_of(states[user])[0])
                entries.setdefault(user, []).append(forgotten)
        elif record.value != b"{":
            event = decoder.decode(user, record.value, record.broker_ms)
            done = step(state, event, EventSettings().session_gap_ms, record.broker_ms)
            states[user] = done.state
            if done.outcome == "applied" and event.event_type in JOINED_TYPES:
                entries.setdefault(user, []).append(EventEntry(event, record.partition, record.broker_ms))
    return entries
