"""What the keyed operator does with a record and with a promise, without Flink.

A promise is a keyed processing-time timer, set together with the state update: it survives in the checkpoint, while
what is in the scorer thread dies with the process. Where a promise fires and nothing is in flight for its user
(the process is new), the user is scored again from the restored state. Where it fires and the user has waited
past the deadline, the fallback list goes out.

Delivered at least once, a list goes out with the next record or promise of anyone: quickest. Delivered exactly once,
it goes out with a record or promise of its own user, and the state notes that it did: emission, promise and note are
then in the same checkpoint, and a restart cannot write the list again.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.lists.encoded_list import Encoded, encoded
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.records.contracts import ERASURES
from operators.records.decode import EventDecoder, decode_erasure
from operators.refresh.micro_batcher import Done, MicroBatcher, NotAsked
from operators.refresh.refresh_outputs import dead_letter, list_of, own_error, receipt, tombstone
from operators.refresh.refresh_records import Actions, Record
from operators.refresh.refresh_sensors import RefreshSensors
from operators.refresh.transactions import Transactions
from operators.settings import ScorerSettings
from operators.shopper.listing import listing, mark_listed, owed_again
from operators.shopper.state_layout import LISTED, SETTLED, migrate
from operators.shopper.user_state import erase, last_event_ms, list_is_owed, order_of, step
from operators.telemetry.own_errors import OwnErrors
from operators.telemetry.timeline import Came

BUSY = 16  # requests that wait: above it a short promise fires for nothing
YOUNG_S = 0.02
PATIENT = 8  # times `retry_after_ms` is the longest that the model is left alone: of a long outage all who came meanwhile ask again


class Fallen(NamedTuple):
    """Of a user whose newest list is a fallback: the order of its state, and the ms until the model is asked again."""

    order: tuple[int, int]
    again_ms: int


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
        self._held: dict[str, Done[Request, Encoded]] = {}  # exactly once: answers that wait for their user's turn
        self._decode = decoder.decode
        self._batcher = batcher
        self._lists = lists
        self._session_gap_ms, self._rating_middle = events.session_gap_ms, events.rating_middle
        self._settings = scorer
        self._clock_s = clock_s
        self._sensors = sensors
        self._errors = OwnErrors(sensors.on_own_error, clock_s, scorer.retry_after_ms)
        self._armed: set[str] = set()  # users with a promise of this process
        self._retry: set[str] = set()  # of these, who got a fallback because the scorer hung
        self._not_asked: set[str] = set()  # of these, whose request met no scorer: their promise sees to them
        self._fallen: dict[str, Fallen] = {}  # who got one and has not had a list of the model since

    def on_record(self, record: Record, state: bytes | None) -> Actions:
        """Applies an event or an erasure; a bad record becomes a dead letter and changes nothing. Raises nothing."""
        actions, read_s = Actions(), self._clock_s()
        try:
            self._answer(record.user, state, actions)
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
            # the promise of a retry lies too far ahead for a new event: it gets one of its own
            soon = record.user in self._armed and record.user not in self._retry
            self._retry.discard(record.user)
            self._submit(request, actions, armed=soon)
        return actions

    def on_promise(self, user: str, state: bytes | None, late_ms: int = 0) -> Actions:
        """A promise has fired: done, still waiting, past the deadline, or restored from a checkpoint. Raises nothing.

        `late_ms`: how long after its time it fired. One that fails is set again, later each time.
        """
        actions = Actions()
        try:
            self._batcher.wake()
            self._answer(user, state, actions)
            self._keep_promise(user, actions.state or state, late_ms, actions)
            if actions.promise_ms is None:
                self._errors.forget(user)
        except Exception as error:
            self._errors.report("promise", error)
            self._armed.add(user)
            self._not_asked.add(user)
            actions.promise_ms = self._errors.again_ms(user)
        return actions

    def _keep_promise(self, user: str, state: bytes | None, late_ms: int, actions: Actions) -> None:
        age, again = self._batcher.age(user), user in self._retry or user in self._not_asked
        not_asked = age is None and user in self._not_asked
        self._retry.discard(user)
        self._not_asked.discard(user)
        if age is None and user in self._armed and not again:
            self._armed.discard(user)
        elif age is not None and age * 1000 < self._settings.deadline_ms:
            actions.promise_ms = self._delay_ms(age)
        elif state is None or not list_is_owed(state):  # forgotten or erased since
            self._forget(user)
        elif not_asked:
            self._fall_back(Request(user, state, last_event_ms(state)), "failed", actions, again=True)
        elif age is not None:
            # who was in the batch that hangs is not scored again before the next event: it would hang again
            suspect = self._batcher.abandon(user)
            self._fall_back(Request(user, state, last_event_ms(state)), "deadline", actions, again=not suspect)
        elif listing(state) != SETTLED:
            self._submit(Request(user, state, last_event_ms(state)), actions, armed=False)
        elif self._transactions is not None and self._transactions.gave_up(late_ms):
            self._sensors.on_rewritten()
            actions.state = owed_again(state)
            self._submit(Request(user, actions.state, last_event_ms(state)), actions, armed=False)
        else:
            self._fallen.pop(user, None)

    def _answer(self, user: str, state: bytes | None, actions: Actions) -> None:
        """Emits what is ready: of anyone, or exactly once of `user` alone."""
        ready = self._batcher.drain()
        if self._not_asked or any(isinstance(done.result, NotAsked) for done in ready):
            ready = [done for done in ready if self._was_asked(done)]
        if self._transactions is not None:
            self._held.update((done.user, done) for done in ready)
        elif ready:
            self._emit([(made, done.request) for done in ready if (made := self._made(done)) is not None], actions)
        if user in self._held and state is not None and self._transactions is not None:
            done, known = self._held.pop(user), listing(state)
            newest = order_of(done.request.state) == order_of(state)
            better = newest and known == LISTED and not isinstance(done.result, Exception)
            if known == 0 or better:
                if (made := self._made(done)) is None:
                    return
                self._emit([(made, done.request)], actions)
            if newest:
                actions.state = mark_listed(state, SETTLED)
                actions.promise_ms = self._transactions.confirm_ms

    def _was_asked(self, done: Done[Request, Encoded]) -> bool:
        """Remembers users whose request reached no scorer. Flink sets timers only for the current key, so their
        existing promise must see to them."""
        if isinstance(done.result, NotAsked):
            self._not_asked.add(done.user)
            return False
        self._not_asked.discard(done.user)
        return True

    def _made(self, done: Done[Request, Encoded]) -> Encoded | None:
        """The model's list, else a fallback; None where that failed too: the user's promise tries again."""
        self._fallen.pop(done.user, None)
        if not isinstance(done.result, Exception):
            return done.result
        try:
            self._sensors.on_fallback("failed")
            return self._fallback(done.request)
        except Exception as error:
            self._errors.report("fallback", error)
            self._not_asked.add(done.user)
            return None

    def _apply(self, record: Record, state: bytes | None, actions: Actions, read_s: float) -> Request | None:
        """The event's effect on the state; what is to be scored after it."""
        event = self._decode(record.user if record.keyed else "", record.value, record.broker_ms)
        record.refuse_unless_of(event.user_id)
        done = step(state, event, self._session_gap_ms, record.broker_ms, self._time_to_live_ms, self._rating_middle)
        self._sensors.on_record(done.outcome)
        if done.outcome != "applied":
            return None
        self._sensors.on_event(event, done.version)
        actions.state = done.state
        if not done.refresh:
            return None
        came = Came(record.broker_ms / 1000, read_s, self._clock_s())
        return Request(event.user_id, done.state, int(event.event_time), event.event_id, event.traceparent, came)

    def _erase(self, record: Record, state: bytes | None, actions: Actions) -> Request | None:
        """Forgets the user, by the broker's time of the record; what to score of events from after it."""
        if record.value is None:  # a request that was taken back; what is done is done
            self._sensors.on_record("erasure")
            return None
        erasure = decode_erasure(record.user, record.value)
        record.refuse_unless_of(erasure.user_id)
        after = erase(state, record.broker_ms)
        actions.outputs.append(receipt(record, erasure.erasure_id, state, int(self._clock_s() * 1000)))
        if state is not None and after == migrate(state):  # known already, with a list from after it
            self._sensors.on_record("erasure")
            return None
        actions.state = after
        self._batcher.abandon(record.user)
        self._held.pop(record.user, None)
        self._fallen.pop(record.user, None)
        self._not_asked.discard(record.user)
        self._sensors.on_record("erasure")
        actions.outputs.append(tombstone(record.user, after))
        if not list_is_owed(after):
            return None
        # what the shopper did since the request stays, and has its list
        return Request(record.user, after, last_event_ms(after))

    def _refuse(self, record: Record, bad: BadRecord, actions: Actions) -> None:
        """A dead letter, for a record that changes nothing."""
        self._sensors.on_record("dead")
        self._sensors.on_dead_letter(bad.reason)
        actions.outputs.append(dead_letter(record, bad))

    def _submit(self, request: Request, actions: Actions, *, armed: bool) -> None:
        """`armed`: the user's promise of this process is still set, so no other is needed."""
        user = request.user_id
        try:
            taken = self._batcher.submit(user, request)
            if not taken:
                self._fall_back(request, "refused", actions, again=True)
        except Exception as error:  # the event counts; the promise sees to the list
            self._errors.report("submit", error)
            self._armed.add(user)
            self._not_asked.add(user)
            actions.promise_ms = self._errors.again_ms(user)
            return
        if taken and not armed:
            self._armed.add(user)
            actions.promise_ms = self._delay_ms(0.0)

    def _fall_back(self, request: Request, cause: str, actions: Actions, *, again: bool) -> None:
        """The fallback list now and, with `again`, a promise that asks the model when it works again."""
        user, order, before = request.user_id, order_of(request.state), self._fallen.get(request.user_id)
        told = before is not None and before.order == order  # the same list, a moment ago
        if listing(request.state) == 0 and not told:
            self._sensors.on_fallback(cause)
            self._emit([(self._fallback(request), request)], actions)
        if self._transactions is not None:
            actions.state = mark_listed(request.state, LISTED if again else SETTLED)
        if not again:
            self._armed.discard(user)
            self._fallen.pop(user, None)
        elif user not in self._retry:
            usual = self._settings.retry_after_ms
            after = min(2 * before.again_ms, PATIENT * usual) if before is not None and told else usual
            self._fallen[user] = Fallen(order, after)
            self._retry.add(user)
            self._armed.add(user)
            actions.promise_ms = after

    def _forget(self, user: str) -> None:
        self._batcher.abandon(user)
        self._armed.discard(user)
        self._fallen.pop(user, None)
        self._held.pop(user, None)

    def _fallback(self, request: Request) -> Encoded:
        return encoded(self._lists.fallback(request), request, with_digest=self._with_digest)

    def _emit(self, lists: Sequence[tuple[Encoded, Request]], actions: Actions) -> None:
        actions.outputs += [list_of(made, request.user_id) for made, request in lists]
        try:
            self._sensors.on_lists(lists, self._clock_s())
        except Exception as error:  # the lists are out; that they are not counted must not cost them
            self._errors.report("sensors", error)

    def _delay_ms(self, age_s: float) -> int:
        """Short while all is quick; long under a backlog or for one who has waited: timers cost a crossing each."""
        if self._batcher.waiting > BUSY:
            return self._settings.promise_busy_ms
        return self._settings.promise_idle_ms if age_s < YOUNG_S else 10 * self._settings.promise_idle_ms
