"""The keyed operator's reaction to a record and to a promise, without Flink.

A promise is a keyed processing-time timer, set together with the state update: it survives in the checkpoint, while
requests in the scorer thread die with the process. The phase of a user with a promise says what the promise must do
(`operators/refresh/pending.py`). A promise of a user without a phase was set before this process started: the user is
scored again from the restored state.

At-least-once delivery emits a list with the next record or promise of any user, which is quickest. Exactly-once delivery
emits it with a record or promise of its own user and notes it in the state: emission, promise and note are then in the
same checkpoint, and a restart cannot write the list again.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.lists.encoded_list import Encoded, encoded
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.records.contracts import ERASURES
from operators.records.event_decode import EventDecoder, decode_erasure
from operators.refresh.micro_batcher import Answer, MicroBatcher, NoScorer
from operators.refresh.pending import Pending
from operators.refresh.refresh_outputs import dead_letter, list_of, own_error, receipt, tombstone
from operators.refresh.refresh_records import Actions, InputRecord
from operators.refresh.refresh_sensors import RefreshSensors
from operators.refresh.transactions import Transactions
from operators.settings import ScorerSettings
from operators.shopper.listing import listing, mark_listed, owed_again
from operators.shopper.state_layout import LISTED, SETTLED, migrate
from operators.shopper.user_state import erase, last_event_ms, list_is_owed, order_of, step
from operators.telemetry.own_errors import OwnErrors
from operators.telemetry.timeline import Arrival

BUSY = 16  # waiting requests: above it a short promise fires too early


class RefreshLogic:
    """One instance a subtask; all calls come from its task thread."""

    def __init__(
        self,
        decoder: EventDecoder,
        batcher: MicroBatcher[Request, Encoded],
        lists: ListMaker,
        events: EventSettings,
        scorer: ScorerSettings,
        clock_s: Callable[[], float],
        sensors: RefreshSensors,
        *,
        with_digest: bool = False,
        time_to_live_ms: float = math.inf,
        transactions: Transactions | None = None,
    ) -> None:
        """`clock_s` gives epoch s; `time_to_live_ms` as in `step`; `transactions`: of exactly-once delivery."""
        self._time_to_live_ms = time_to_live_ms
        self._with_digest = with_digest
        self._transactions = transactions
        self._decode = decoder.decode
        self._batcher = batcher
        self._lists = lists
        self._session_gap_ms, self._rating_middle = events.session_gap_ms, events.rating_middle
        self._settings = scorer
        self._clock_s = clock_s
        self._sensors = sensors
        self._errors = OwnErrors(sensors.on_own_error, clock_s)
        # users with an open promise of this process; a user who is entered must get one in the same turn
        self._pending: defaultdict[str, Pending] = defaultdict(Pending)

    @property
    def oldest_s(self) -> float:
        """Age of the oldest unanswered request in seconds; 0 where there is none. For any thread."""
        now_s, pending = self._batcher.clock(), list(self._pending.values())
        return max((now_s - user.since_s for user in pending if user.request is not None), default=0.0)

    def on_record(self, record: InputRecord, state: bytes | None) -> Actions:
        """Applies an event or an erasure; a bad record becomes a dead letter and changes nothing. Raises nothing."""
        actions, read_s = Actions(), self._clock_s()
        try:
            self._take_answers(actions)
            if self._transactions is not None:
                self._hand_out(record.user, state, self._transactions, actions)
        except Exception as error:
            self._errors.report("answer", error)
        state = actions.state or state
        undo = actions.state, len(actions.outputs)
        try:
            if record.topic == ERASURES:
                request = self._erase(record, state, actions)
            else:
                request = self._apply(record, state, actions, read_s)
        except Exception as error:
            actions.state = undo[0]
            del actions.outputs[undo[1] :]
            if not isinstance(error, BadRecord):
                self._errors.report("record", error)
                error = own_error(error)
            self._refuse(record, error, actions)
            return actions
        if request is not None:
            self._ask(request, actions)
        return actions

    def on_promise(self, user: str, state: bytes | None, late_ms: int = 0) -> Actions:
        """Reacts to a promise: its request is answered, waits, is past the deadline, or is from before a restart. Raises nothing.

        `late_ms`: delay of the timer. A promise that fails is set again with a growing back-off.
        """
        actions = Actions()
        try:
            self._batcher.wake()
            self._take_answers(actions)
            if self._transactions is not None:
                self._hand_out(user, state, self._transactions, actions)
            self._keep_promise(user, actions.state or state, late_ms, actions)
        except Exception as error:
            self._errors.report("promise", error)
            self._fail(self._pending[user], actions)
        return actions

    def _keep_promise(self, user: str, state: bytes | None, late_ms: int, actions: Actions) -> None:
        """Does what the user's phase requires."""
        pending = self._pending.get(user) or Pending()
        phase, pending.soon = pending.phase, False
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
            in_flight, late = self._batcher.abandon(user), phase == "scoring"
            cause = "deadline" if late else "failed"
            # a user of a hanging batch is not scored again before the next event: the batch could hang again
            again = not (late and in_flight)
            pending.request = None  # if the fallback list fails too, the next request is not late at once
            self._fall_back(Request(user, state, last_event_ms(state)), cause, actions, again=again)

    def _ask_unless_settled(self, user: str, state: bytes, late_ms: int, actions: Actions) -> None:
        """Asks the model, unless exactly-once delivery knows that the list is out and committed."""
        if listing(state) == SETTLED:
            if self._transactions is None or not self._transactions.gave_up(late_ms):
                self._pending.pop(user, None)
                return
            self._sensors.on_rewritten()
            state = actions.state = owed_again(state)
        self._ask(Request(user, state, last_event_ms(state)), actions)

    def _take_answers(self, actions: Actions) -> None:
        """Takes all answers of the scorer. Emits them now; exactly-once delivery keeps each for its user's turn."""
        lists = []
        for answer in self._batcher.drain():
            pending = self._pending.get(answer.user)
            if pending is not None:
                pending.close(answer)
            if isinstance(answer.result, NoScorer):
                continue
            if self._transactions is None:
                if (encoded_list := self._list_of(answer)) is not None:
                    lists.append((encoded_list, answer.request))
            elif pending is not None:
                pending.answer = answer
        if lists:
            self._emit(lists, actions)

    def _hand_out(self, user: str, state: bytes | None, transactions: Transactions, actions: Actions) -> None:
        """Exactly once: emits the user's answer if it is better than the emitted list, and sets a promise that checks
        whether it was committed."""
        pending = self._pending.get(user)
        if state is None or pending is None or pending.answer is None:
            return
        answer, pending.answer = pending.answer, None
        newest, listed = order_of(answer.request.state) == order_of(state), listing(state)
        better = newest and listed == LISTED and not isinstance(answer.result, Exception)
        if listed == 0 or better:
            if (encoded_list := self._list_of(answer)) is None:
                return
            self._emit([(encoded_list, answer.request)], actions)
        if newest:
            actions.state = mark_listed(state, SETTLED)
            actions.promise_ms = transactions.confirm_ms

    def _list_of(self, answer: Answer[Request, Encoded]) -> Encoded | None:
        """The model's list, else a fallback; None if that failed too: then the user's promise tries again."""
        if not isinstance(answer.result, Exception):
            return answer.result
        try:
            self._sensors.on_fallback("failed")
            return self._fallback(answer.request)
        except Exception as error:
            self._errors.report("fallback", error)
            pending = self._pending.get(answer.user)
            if pending is not None and pending.phase == "answered":
                pending.phase = "owed"
            return None

    def _apply(self, record: InputRecord, state: bytes | None, actions: Actions, read_s: float) -> Request | None:
        """Applies an event to the state; returns the request that it causes."""
        event = self._decode(record.user if record.keyed else "", record.value, record.broker_ms)
        record.refuse_unless_of(event.user_id)
        effect = step(state, event, self._session_gap_ms, record.broker_ms, self._time_to_live_ms, self._rating_middle)
        self._sensors.on_record(effect.outcome)
        if effect.outcome != "applied":
            return None
        self._sensors.on_event(event, effect.version)
        actions.state = effect.state
        if not effect.refresh:
            return None
        arrival = Arrival(record.broker_ms / 1000, read_s, self._clock_s())
        return Request(event.user_id, effect.state, int(event.event_time), event.event_id, event.traceparent, arrival)

    def _erase(self, record: InputRecord, state: bytes | None, actions: Actions) -> Request | None:
        """Forgets the user up to the broker's time of the record; returns a request if later events stay."""
        if record.value is None:  # a tombstone withdraws the request; a finished erasure stays
            self._sensors.on_record("erasure")
            return None
        erasure = decode_erasure(record.user, record.value)
        record.refuse_unless_of(erasure.user_id)
        after = erase(state, record.broker_ms)
        actions.outputs.append(receipt(record, erasure.erasure_id, state, int(self._clock_s() * 1000)))
        if state is not None and after == migrate(state):  # a repeated erasure: the list is from after it
            self._sensors.on_record("erasure")
            return None
        actions.state = after
        self._batcher.abandon(record.user)
        if (pending := self._pending.get(record.user)) is not None:
            pending.withdraw()
        self._sensors.on_record("erasure")
        actions.outputs.append(tombstone(record.user, after))
        if not list_is_owed(after):
            return None
        # events since the request stay and cause a list
        return Request(record.user, after, last_event_ms(after))

    def _refuse(self, record: InputRecord, bad: BadRecord, actions: Actions) -> None:
        """Emits a dead letter for a record that changes nothing."""
        self._sensors.on_record("dead")
        self._sensors.on_dead_letter(bad.reason)
        actions.outputs.append(dead_letter(record, bad))

    def _ask(self, request: Request, actions: Actions) -> None:
        """Submits a request to the batcher; a refused request gets the fallback list."""
        pending = self._pending[request.user_id]
        try:
            if self._batcher.submit(request.user_id, request):
                pending.submit(request, self._batcher.clock())
                self._promise(pending, actions)
            else:
                self._batcher.abandon(request.user_id)  # an older list would follow the fallback list
                self._fall_back(request, "refused", actions, again=True)
        except Exception as error:  # the event stays applied; the promise sends the list
            self._errors.report("submit", error)
            pending.request = None  # an answer to an older request does not close it
            self._fail(pending, actions)

    def _fall_back(self, request: Request, cause: str, actions: Actions, *, again: bool) -> None:
        """Emits the fallback list and, with `again`, sets a promise that asks the model later."""
        user, order, pending = request.user_id, order_of(request.state), self._pending[request.user_id]
        if listing(request.state) == 0 and pending.fallback_of != order:  # else the same list is out already
            self._sensors.on_fallback(cause)
            self._emit([(self._fallback(request), request)], actions)
        if self._transactions is not None:
            actions.state = mark_listed(request.state, LISTED if again else SETTLED)
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
        busy = self._batcher.waiting > BUSY
        actions.promise_ms = pending.next_look_ms(self._batcher.clock(), self._settings, busy=busy)
        pending.soon = pending.phase == "scoring"

    def _fallback(self, request: Request) -> Encoded:
        return encoded(self._lists.fallback(request), request, with_digest=self._with_digest)

    def _emit(self, lists: Sequence[tuple[Encoded, Request]], actions: Actions) -> None:
        actions.outputs += [list_of(encoded_list, request.user_id) for encoded_list, request in lists]
        try:
            self._sensors.on_lists(lists, self._clock_s())
        except Exception as error:  # the lists are out: an error in a metric must not lose them
            self._errors.report("sensors", error)
