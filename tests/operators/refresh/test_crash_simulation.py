"""The kernel under an engine that crashes: thousands of schedules of reads, timers, batches, scores, checkpoints, restores.

The engine is a model of Flink's promise: state, timers and position come back together from the last checkpoint, what
was in the scorer is gone, outputs since the checkpoint stay (at least once) or are taken back (exactly once).
"""

import copy
import json
import os
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import hypothesis.strategies as st
from hypothesis import settings as profile
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from operators.configuration.shop_settings import EventSettings
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.contracts import ERASURES, EVENTS
from operators.records.event_decode import EventDecoder
from operators.refresh.batch_scorer import NoScorer
from operators.refresh.downstream import Downstream
from operators.refresh.exactly_once import Transactions
from operators.refresh.micro_batcher import IN_FLIGHT
from operators.refresh.refresh_logic import RefreshLogic
from operators.refresh.refresh_records import InputRecord, Turn
from operators.settings import ScorerSettings
from operators.shopper.state_layout import stored
from operators.shopper.user_state import digest, list_is_owed, order_of
from tests.bad_records import good_event
from tests.builders import NOW_MS
from tests.operators.refresh.crash_fakes import (
    FEEDBACK,
    Batcher,
    Kept,
    Lists,
    Order,
    Scorer,
    Sensors,
    broker_ms,
    check_entries,
    entries_of,
    expected,
    order_and_source,
)

USERS = ("u1", "u2", "u3")
DEADLINE_S = 0.5
QUIET_ROUNDS = 60
FAULTS = st.sampled_from((None, None, None, "refuses", "raises"))  # of `submit`


class CrashingEngine(RuleBasedStateMachine):
    exactly_once: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.log: list[InputRecord] = []
        self.now = Kept()
        self.checkpointed = Kept()
        # user, order, source: a tombstone's is "erased", and no list below its order counts any more
        self.outputs: list[tuple[str, Order, str]] = []
        self.seconds = 0.0
        self.fails: Exception | None = None
        self.hangs = False
        self.start()

    def start(self) -> None:
        """A new process."""
        limits = ScorerSettings(deadline_ms=int(DEADLINE_S * 1000), max_waiting=100)
        self.scorer, self.written = Scorer(self.score), list[tuple[str, Order]]()
        self.batcher = Batcher(
            self.scorer, max_batch=2, max_waiting=100, deadline_s=DEADLINE_S, clock=lambda: self.seconds
        )
        self.logic = RefreshLogic(
            EventDecoder(EventSettings()),
            self.batcher,
            Lists(),  # type: ignore[arg-type]
            EventSettings(),
            limits,
            lambda: NOW_MS / 1000,
            Sensors(),
            transactions=Transactions(900_000, 5_000) if self.exactly_once else None,
            downstream=Downstream(FEEDBACK),
        )

    def score(self, requests: Sequence[Request]) -> list[Encoded | Exception]:
        if self.fails:
            raise self.fails
        if self.hangs:  # the task thread goes on meanwhile
            self.hangs = False
            self.seconds += 2 * DEADLINE_S
            for user in self.now.timers:
                self.fire(user)
            self.flush()
            self.send_one()
        return [Lists().make(request) for request in requests]

    def add(self, user: str, record: InputRecord | None) -> None:
        """A record or a fired promise joins the batch; the state goes with the user's first one."""
        first = all(turn.user != user for turn in self.now.buffered)
        self.now.buffered.append(Turn(user, self.now.states.get(user) if first else None, record))

    def flush(self, fault: str | None = None) -> None:
        """One batch; `fault`: of its `submit`."""
        turns, self.now.buffered = self.now.buffered, []
        self.batcher.fault = fault
        actions = self.logic.on_batch(turns)
        self.batcher.fault = None
        for user, state in actions.states.items():
            self.now.states[user] = stored(state)
        self.now.set(actions, self.seconds)
        self.now.entries += entries_of(actions.outputs)
        for output in actions.outputs:
            if output.kind == "list" and output.key is not None:
                user, (order, source) = output.key.decode(), order_and_source(output)
                self.outputs.append((user, order, source))
                self.written.append((user, order))
        if actions.wanted:
            self.now.buffered = [Turn(user, self.now.states.get(user), None, None) for user in actions.wanted]
            self.flush(fault)

    def fire(self, user: str) -> None:
        self.now.fire(user)
        self.add(user, None)

    @precondition(lambda self: self.outputs and not self.exactly_once)
    @rule(data=st.data())
    def write_late(self, data: st.DataObject) -> None:
        """A process that should be dead writes a list that it had made; in a transaction the broker refuses it."""
        self.outputs.append(data.draw(st.sampled_from([o for o in self.outputs if o[2] != "erased"] or self.outputs)))

    @rule(user=st.sampled_from(USERS), kind=st.sampled_from(("view", "impression", "click")), repeat=st.booleans())
    def publish(self, user: str, kind: str, repeat: bool) -> None:
        number = len(self.log)
        mine = [r for r in self.log[-6:] if r.user == user and r.topic == EVENTS]
        if repeat and mine:  # a duplicate, and out of order
            self.log.append(mine[0]._replace(offset=number, broker_ms=broker_ms(number)))
            return
        body = good_event(event_id=f"e{number}", user_id=user, event_type=kind, event_time=broker_ms(number))
        if kind == "impression":
            body["items"] = ["i1", "i2"]
        self.log.append(InputRecord(user, json.dumps(body).encode(), EVENTS, 0, number, broker_ms(len(self.log)), True))

    @rule(user=st.sampled_from(USERS))
    def publish_poison(self, user: str) -> None:
        self.log.append(InputRecord(user, b"{", EVENTS, 0, len(self.log), broker_ms(len(self.log)), True))

    @rule(user=st.sampled_from(USERS))
    def publish_erasure(self, user: str) -> None:
        body = {"user_id": user}
        self.log.append(
            InputRecord(user, json.dumps(body).encode(), ERASURES, 0, len(self.log), broker_ms(len(self.log)), True)
        )

    @precondition(lambda self: self.now.position < len(self.log))
    @rule(count=st.integers(1, 5))
    def read(self, count: int) -> None:
        for record in self.log[self.now.position : self.now.position + count]:
            self.add(record.user, record)
            self.now.position += 1

    @rule(user=st.sampled_from(USERS))
    def view_and_send(self, user: str) -> None:
        """A view goes straight to the scorer: schedules of single steps seldom have two batches in flight."""
        self.publish(user, "view", False)
        self.read(len(self.log))
        self.flush()
        self.send_one()

    @precondition(lambda self: self.now.timers)
    @rule(data=st.data())
    def fire_one(self, data: st.DataObject) -> None:
        self.fire(data.draw(st.sampled_from(self.now.timers)))

    @rule(fault=FAULTS)
    def end_batch(self, fault: str | None) -> None:
        """Full, lingered long enough, or woken up by the scorer; then it may be empty."""
        if self.batcher.waiting >= 50:  # submit would block: Flink's back-pressure
            self.batcher.run_once()
        self.flush(fault)

    @precondition(lambda self: self.batcher.waiting)
    @rule()
    def send_one(self) -> None:
        """The scorer thread sends a batch if it may: up to two are in flight."""
        if len(self.batcher._in_flight) < IN_FLIGHT:
            self.batcher.send()

    @precondition(lambda self: self.batcher._in_flight)
    @rule(
        fails=st.sampled_from((None, None, None, RuntimeError("the model is broken"), NoScorer("nobody there"))),
        lost=st.sampled_from((None, None, None, RuntimeError("a bug"), NoScorer("the process died"))),
        hangs=st.sampled_from((False, False, True)),
    )
    def receive_one(self, fails: Exception | None, lost: Exception | None, hangs: bool) -> None:
        """The oldest batch is answered, or all in flight are lost."""
        self.fails, self.hangs, self.scorer.lost = fails, hangs, lost
        self.batcher.receive(0)
        self.fails, self.hangs, self.scorer.lost = None, False, None

    @rule(seconds=st.sampled_from((0.01, 0.3, 0.7, 6.0)))
    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    @rule()
    def checkpoint(self) -> None:
        self.flush()  # before the barrier
        self.now.outputs = len(self.outputs)
        self.checkpointed = copy.deepcopy(self.now)

    @rule()
    def crash(self) -> None:
        self.now = self.checkpointed.restored()
        if self.exactly_once:
            del self.outputs[self.now.outputs :]
        self.start()

    def is_owed(self, user: str) -> bool:
        """Whether the list of the user's newest version has not gone out."""
        state = self.now.states.get(user)
        out = max((order for name, order, _ in self.outputs if name == user), default=(0, 0))
        return state is not None and list_is_owed(state) and order_of(state) > out

    @property
    def promised(self) -> set[str]:
        """Users with a promise, or with one that has fired and waits for the end of its batch."""
        return {*self.now.timers, *(turn.user for turn in self.now.buffered if turn.record is None)}

    @invariant()
    def a_promise_stands_for_every_list_that_is_owed(self) -> None:
        for user in self.now.states:
            assert not self.is_owed(user) or user in self.promised, f"{user} waits without a promise"

    @invariant()
    def the_phases_agree_with_promises_requests_and_lists(self) -> None:
        batcher, pending = self.batcher, self.logic._pending
        sent = [request for batch in batcher._in_flight for request in batch.values() if request is not None]
        requests = [*batcher._waiting.values(), *sent, *(answer.request for answer in batcher._answers)]
        assert {request.user_id for request in requests} <= pending.keys(), "a request without a record"
        for user, record in pending.items():
            assert user in self.promised, f"{user} has a record without a promise"
            late = record.phase == "scoring" and not self.now.is_looked_at(user, record.since_s + DEADLINE_S)
            assert not late and record.phase != "idle"
            assert (record.request is not None) == (record.phase == "scoring")
            assert record.request is None or any(record.request is request for request in requests)
            assert record.answer is None or self.exactly_once
            if record.phase in ("answered", "fallen back"):
                assert record.answer is not None or not self.is_owed(user), f"{user} is {record.phase} without a list"

    @invariant()
    def one_process_writes_no_older_list_after_a_newer_one(self) -> None:
        assert len(self.batcher._in_flight) <= IN_FLIGHT
        for user in USERS:
            orders = [order for name, order in self.written if name == user]
            assert orders == sorted(orders), f"a version of {user} fell"

    def newest(self) -> dict[str, Order | None]:
        """What a reader ends up with: what is below the newest known, list or tombstone, is ignored."""
        newest: dict[str, tuple[Order, str]] = {}
        for user, order, source in self.outputs:
            if order >= newest.get(user, ((0, 0), ""))[0]:
                newest[user] = order, source
        return {user: None if source == "erased" else order for user, (order, source) in newest.items()}

    def teardown(self) -> None:
        """Without further faults all comes to rest, and is as if nothing had ever failed."""
        self.read(len(self.log))
        for _ in range(QUIET_ROUNDS):
            self.flush()
            if not self.now.timers and not self.batcher.waiting:
                break
            while self.batcher.waiting:
                self.batcher.run_once()
            for user in self.now.timers:
                self.fire(user)
            self.seconds += 0.01
        assert not self.now.timers, f"promises that never end: {self.now.timers}"
        assert not self.logic._pending
        states, wanted = expected(self.log)
        assert {u: digest(s) for u, s in self.now.states.items()} == {u: digest(s) for u, s in states.items()}
        assert self.newest() == wanted
        check_entries(self.now.entries, self.log, wanted)
        if self.exactly_once:
            twice = {key: count for key, count in Counter(self.outputs).items() if count > 1}
            assert not twice
            for user in USERS:
                orders = [order for name, order, _ in self.outputs if name == user]
                assert orders == sorted(orders), "a version fell"


class TransactionalEngine(CrashingEngine):
    exactly_once = True


TestAtLeastOnce, TestExactlyOnce = CrashingEngine.TestCase, TransactionalEngine.TestCase
SCHEDULES = int(os.environ.get("CRASH_SCHEDULES", "200"))  # of each delivery; `make test-all` sets 1,000
TestAtLeastOnce.settings = TestExactlyOnce.settings = profile(max_examples=SCHEDULES, stateful_step_count=40)
