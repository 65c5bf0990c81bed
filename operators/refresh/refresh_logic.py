"""The keyed operator's reaction to a batch of records and promises, without Flink.

A promise is a keyed processing-time timer, set together with the state update: it survives in the checkpoint, while
requests in the scorer thread die with the process. The phase of a user with a promise says what the promise must do
(`operators/refresh/pending.py`). A promise of a user without a phase was set before this process started: the user is
scored again from the restored state.

A ready list starts the next batch. At-least-once delivery emits the list in that batch, exactly-once delivery in a turn of
the list's user (`operators/refresh/exactly_once.py`).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.event_decode import EventDecoder
from operators.refresh.batch_scorer import NoScorer
from operators.refresh.downstream import Downstream
from operators.refresh.exactly_once import ExactlyOnce, Transactions
from operators.refresh.list_emission import FallbackLists, ListEmission
from operators.refresh.micro_batcher import Answer, MicroBatcher
from operators.refresh.pending import Pending
from operators.refresh.record_effects import RecordEffects
from operators.refresh.refresh_outputs import dead_letter, own_error
from operators.refresh.refresh_records import Actions, BatchActions, InputRecord, Turn
from operators.refresh.refresh_sensors import RefreshSensors
from operators.settings import ScorerSettings
from operators.shopper.listing import listing, owed_again
from operators.shopper.state_layout import SETTLED
from operators.shopper.user_state import last_event_ms, list_is_owed, order_of
from operators.telemetry.own_errors import OwnErrors


class RefreshLogic:
    """One instance a subtask; all calls come from its task thread."""

    def __init__(
        self,
        decoder: EventDecoder,
        batcher: MicroBatcher[Request, Encoded],
        lists: FallbackLists,
        events: EventSettings,
        scorer: ScorerSettings,
        clock_s: Callable[[], float],
        sensors: RefreshSensors,
        *,
        with_digest: bool = False,
        time_to_live_ms: float = math.inf,
        transactions: Transactions | None = None,
        downstream: Downstream | None = None,
    ) -> None:
        """`clock_s` gives epoch s; `time_to_live_ms` as in `step`; `transactions`: of exactly-once delivery; `downstream`: None
        where no operator follows."""
        self._downstream = downstream or Downstream()
        self._effect_of = RecordEffects(decoder, events, clock_s, sensors, time_to_live_ms, self._downstream).of
        self._batcher = batcher
        self._settings = scorer
        self._clock_s = clock_s
        self._sensors = sensors
        self._errors = OwnErrors(sensors.on_own_error, clock_s)
        self._emission = ListEmission(
            lists, sensors, self._errors, clock_s, with_digest=with_digest, downstream=self._downstream
        )
        self._once = ExactlyOnce(transactions, self._emission) if transactions else None
        # users with an open promise of this process; a user who is entered must get one in the same batch
        self._pending: defaultdict[str, Pending] = defaultdict(Pending)
        self._asked: dict[str, Request] = {}  # requests of this batch, until they are submitted

    @property
    def oldest_s(self) -> float:
        """Age of the oldest unanswered request in seconds; 0 where there is none. For any thread."""
        now_s, pending = self._batcher.clock(), list(self._pending.values())
        return max((now_s - user.since_s for user in pending if user.request is not None), default=0.0)

    def on_batch(self, turns: Sequence[Turn]) -> BatchActions:
        """Reacts to records and fired promises in their order, asks the model for all of them at once, and emits the lists
        that are ready; without turns only that. Raises nothing.
        """
        batch, read_s = BatchActions(), self._clock_s()
        self._take_answers(batch, wake=True)
        for user, first_state, record, late_ms in turns:
            actions = Actions(batch.outputs)
            state = batch.current.setdefault(user, first_state)
            if record is None:
                if user not in batch.kept:
                    self._on_promise(user, state, late_ms, actions)
            else:
                self._on_record(record, state, read_s, actions)
            batch.add(user, actions)
            if (request := self._asked.get(user)) and request.state is not batch.current[user]:
                self._asked[user] = request.with_state(batch.states[user])
        if self._asked:
            self._submit(batch)
            self._take_answers(batch)
        if self._once is not None:
            batch.wanted = self._once.wanted()
        batch.outputs += self._downstream.of_batch(turns)
        return batch

    def _on_record(self, record: InputRecord, state: bytes | None, read_s: float, actions: Actions) -> None:
        """Applies an event or an erasure; a bad record becomes a dead letter and changes nothing."""
        self._hand_out_safely(record.user, state, actions)
        try:
            effect = self._effect_of(record, actions.state or state, read_s)
        except Exception as error:
            if not isinstance(error, BadRecord):
                self._errors.report("record", error)
                error = own_error(error)
            self._sensors.on_record("dead")
            self._sensors.on_dead_letter(error.reason)
            actions.outputs.append(dead_letter(record, error))
            return
        actions.state = effect.state or actions.state
        actions.outputs += effect.outputs
        if effect.withdraws:
            self._withdraw(record.user, actions)
        if effect.request is not None:
            self._ask(effect.request)

    def _on_promise(self, user: str, state: bytes | None, late_ms: int | None, actions: Actions) -> None:
        """Reacts to a promise: its request is answered, waits, is past the deadline, or is from before a restart.

        A promise that fails is set again with a growing back-off. Without `late_ms` no promise has fired: the turn was
        wanted.
        """
        self._hand_out_safely(user, state, actions)
        try:
            if late_ms is not None or (user in self._pending and self._pending[user].phase == "owed"):
                self._keep_promise(user, actions.state or state, late_ms or 0, actions)
        except Exception as error:
            self._errors.report("promise", error)
            self._fail(self._pending[user], actions)

    def _keep_promise(self, user: str, state: bytes | None, late_ms: int, actions: Actions) -> None:
        """Does what the user's phase requires."""
        pending = self._pending.get(user) or Pending()
        phase, pending.soon = pending.phase, False
        if user in self._asked and phase != "scoring":
            return  # the request of this batch sets a promise
        if phase == "answered":
            del self._pending[user]
        elif phase == "scoring" and not pending.is_late(self._batcher.clock(), self._settings.deadline_ms):
            self._promise(pending, actions)
        elif state is None or not list_is_owed(state):  # forgotten or erased since
            self._batcher.abandon(user)
            self._pending.pop(user, None)
        elif phase in ("idle", "fallen back"):
            self._ask_unless_settled(user, state, late_ms, actions)
        else:
            may_hang, late = self._batcher.abandon(user), phase == "scoring"
            cause = "deadline" if late else "failed"
            # a user of a hanging batch is not scored again before the next event: the batch could hang again
            again = not (late and may_hang)
            pending.request = None  # if the fallback list fails too, the next request is not late at once
            self._fall_back(Request(user, state, last_event_ms(state)), cause, actions, again=again)

    def _ask_unless_settled(self, user: str, state: bytes, late_ms: int, actions: Actions) -> None:
        """Asks the model, unless exactly-once delivery knows that the list is out and committed."""
        if listing(state) == SETTLED:
            if self._once is None or not self._once.lost(late_ms):
                self._pending.pop(user, None)
                return
            self._sensors.on_rewritten()
            state = actions.state = owed_again(state)
        self._ask(Request(user, state, last_event_ms(state)))

    def _take_answers(self, batch: BatchActions, *, wake: bool = False) -> None:
        """Takes all answers of the scorer. Emits them now, and the promises of their users are kept; exactly-once delivery
        keeps each answer for its user's next turn.

        `wake`: looks after the scorer thread too.
        """
        try:
            if wake:
                self._batcher.wake()
            self._close_answered(self._batcher.drain(), batch)
        except Exception as error:
            self._errors.report("answer", error)

    def _close_answered(self, answers: Sequence[Answer[Request, Encoded]], batch: BatchActions) -> None:
        lists = []
        for answer in answers:
            if (pending := self._pending.get(answer.user)) is not None:
                pending.close(answer)
            if self._once is not None:
                if pending is not None:
                    self._once.keep(answer, pending)
            elif (encoded_list := self._list_of(answer, pending)) is not None:
                lists.append((encoded_list, answer.request))
        if lists:
            self._emission.emit(lists, batch.outputs)
            for _, request in lists:
                self._keep(request.user_id, batch)

    def _keep(self, user: str, batch: BatchActions) -> None:
        """Ends the promise of a user whose newest list is out."""
        if (pending := self._pending.get(user)) is not None and pending.phase == "answered":
            del self._pending[user]
            batch.keep(user)

    def _list_of(self, answer: Answer[Request, Encoded], pending: Pending | None) -> Encoded | None:
        """The list of an answer; None if the user's promise must see to it."""
        if isinstance(answer.result, NoScorer) and not self._falls_back_early(answer, pending):
            return None
        encoded_list = self._emission.of(answer)
        if encoded_list is None and pending is not None:
            pending.lose()
        return encoded_list

    def _falls_back_early(self, answer: Answer[Request, Encoded], pending: Pending | None) -> bool:
        """Whether a request that reached no scorer has its fallback list now. Its promise asks again later."""
        order = order_of(answer.request.state)
        if pending is None or pending.phase != "owed" or pending.fallback_of == order:
            return False
        pending.fallback_of = order
        return True

    def _hand_out_safely(self, user: str, state: bytes | None, actions: Actions) -> None:
        try:
            if self._once is not None and state is not None and (pending := self._pending.get(user)) is not None:
                self._once.hand_out(pending, state, actions)
        except Exception as error:
            self._errors.report("answer", error)

    def _withdraw(self, user: str, actions: Actions) -> None:
        """Forgets the requests of a user who was erased."""
        self._batcher.abandon(user)
        if self._asked.pop(user, None) is not None:  # it may have been asked for a promise that has fired
            actions.promise_ms = self._settings.deadline_ms
        if (pending := self._pending.get(user)) is not None:
            pending.withdraw()

    def _ask(self, request: Request) -> None:
        """The newest request of a user wins; `_submit` asks the model."""
        if request.user_id in self._asked:
            self._batcher.sensors.on_coalesced()
        self._asked[request.user_id] = request

    def _submit(self, batch: BatchActions) -> None:
        """Submits the requests of the batch; a refused request gets the fallback list."""
        asked, self._asked = self._asked, {}
        refused, failed = set[str](), False
        try:
            refused = set(self._batcher.submit(asked))
        except Exception as error:  # the events stay applied; the promises send the lists
            self._errors.report("submit", error)
            failed = True
        now_s = self._batcher.clock()
        for user, request in asked.items():
            pending, actions = self._pending[user], Actions(batch.outputs)
            if failed:
                pending.request = None  # an answer to an older request does not close it
                self._fail(pending, actions)
            elif user in refused:
                self._refuse(request, pending, actions)
            else:
                pending.submit(request, now_s)
                self._promise(pending, actions)
            batch.add(user, actions)

    def _refuse(self, request: Request, pending: Pending, actions: Actions) -> None:
        """The batcher did not take a request: the fallback list."""
        try:
            self._batcher.abandon(request.user_id)  # an older list would follow the fallback list
            self._fall_back(request, "refused", actions, again=True)
        except Exception as error:
            self._errors.report("submit", error)
            pending.request = None
            self._fail(pending, actions)

    def _fall_back(self, request: Request, cause: str, actions: Actions, *, again: bool) -> None:
        """Emits the fallback list and, with `again`, sets a promise that asks the model later."""
        user, order, pending = request.user_id, order_of(request.state), self._pending[request.user_id]
        self._asked.pop(user, None)
        if listing(request.state) == 0 and pending.fallback_of != order:  # else the same list is out already
            self._emission.emit([(self._emission.fallback(request, cause), request)], actions.outputs)
        if self._once is not None:
            actions.state = self._once.note_fallback(request.state, final=not again)
        if again:
            pending.fall_back(order, self._settings.retry_after_ms)
            self._promise(pending, actions)
        else:
            del self._pending[user]

    def _fail(self, pending: Pending, actions: Actions) -> None:
        pending.fail(self._settings.retry_after_ms)
        self._promise(pending, actions)

    def _promise(self, pending: Pending, actions: Actions) -> None:
        """Sets the user's next promise, unless a request waits and a promise that fires soon is set."""
        if pending.phase == "scoring" and pending.soon:
            return
        actions.promise_ms = pending.next_look_ms(self._batcher.clock(), self._settings.deadline_ms)
        pending.soon = pending.phase == "scoring"
