"""What the keyed operator does with a record and with a promise, without Flink.

A promise is a keyed processing-time timer, set together with the state update: it survives in the checkpoint, while
what is in the scorer thread dies with the process. Where a promise fires and nothing is in flight for its user
(the process is new), the user is scored again from the restored state. Where it fires and the user has waited
past the deadline, the fallback list goes out.

Delivered at least once, a list goes out with the next record or promise of anyone: quickest. Delivered exactly once,
it goes out with a record or promise of its own user, and the state notes that it did: emission, promise and note are
then in the same checkpoint, and a restart cannot write the list again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from operators.contracts import ERASURES, DeadLetterHeaders, RecommendationList
from operators.decode import EventDecoder, decode_erasure
from operators.errors import BadRecord
from operators.experiments import NO_ARM
from operators.list_maker import ListMaker, Request, encode_list
from operators.micro_batcher import Done, MicroBatcher, NotAsked
from operators.refresh_sensors import RefreshSensors
from operators.settings import EventSettings, ScorerSettings
from operators.state_layout import LISTED, SETTLED
from operators.timeline import Came, Made
from operators.user_state import digest, erase, last_event_ms, list_is_owed, listing, mark_listed, step, version_of

BUSY = 16  # requests that wait: above it a short promise fires for nothing
YOUNG_S = 0.02
PATIENT = 8  # times `retry_after_ms` is the longest that the model is left alone: of a long outage all who came meanwhile ask again
DIGEST_HEADER = "liveshelf.state-digest"


class Record(NamedTuple):
    """An input record as the sources give it. `raw_key` is None where `user` is the key's text, b"" without a key."""

    user: str
    value: bytes | None
    topic: str
    partition: int
    offset: int
    broker_ms: int
    raw_key: bytes | None


class Output(NamedTuple):
    """A record for a sink: `kind` is "list" or "dead"; a list without `value` is a tombstone."""

    kind: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes] | None = None


class Encoded(NamedTuple):
    """A list as it goes out; `made` of a list by the scorer thread, `state_digest` where audits are on."""

    value: bytes
    source: str
    arm: str
    event_time: int
    made: Made | None = None
    state_digest: str | None = None


@dataclass(slots=True)
class Actions:
    """What the engine must do: keep `state` (None: leave it), set a promise in `promise_ms` (None: none), emit."""

    state: bytes | None = None
    promise_ms: int | None = None
    outputs: list[Output] = field(default_factory=list)


class Fallen(NamedTuple):
    """Of a user whose newest list is a fallback: the version of the state that it is of, and the ms until the model is asked again."""

    version: int
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
        exactly_once: bool = False,
    ) -> None:
        """`clock_s` gives epoch s."""
        self._with_digest = with_digest
        self._exactly_once = exactly_once
        self._held: dict[str, Done[Request, Encoded]] = {}  # exactly once: answers that wait for their user's turn
        self._decode = decoder.decode
        self._batcher = batcher
        self._lists = lists
        self._session_gap_ms = events.session_gap_minutes * 60_000
        self._settings = scorer
        self._clock_s = clock_s
        self._sensors = sensors
        self._armed: set[str] = set()  # users with a promise of this process
        self._retry: set[str] = set()  # of these, who got a fallback because the scorer hung
        self._not_asked: set[str] = set()  # of these, whose request met no scorer: their promise sees to them
        self._fallen: dict[str, Fallen] = {}  # who got one and has not had a list of the model since

    def on_record(self, record: Record, state: bytes | None) -> Actions:
        """Applies an event or an erasure; a bad record becomes a dead letter and changes nothing."""
        actions, read_s = Actions(), self._clock_s()
        self._answer(record.user, lambda: state, actions)
        state = actions.state or state
        try:
            if record.topic == ERASURES:
                self._erase(record, state, actions)
            else:
                self._apply(record, state, actions, read_s)
        except BadRecord as bad:
            self._refuse(record, bad, actions)
        except Exception as error:  # a record that breaks our own code must not stop the job either
            self._refuse(record, BadRecord("internal_error", "no error in step()", repr(error)[:200]), actions)
        return actions

    def on_promise(self, user: str, read_state: Callable[[], bytes | None]) -> Actions:
        """A promise has fired: done, still waiting, past the deadline, or restored from a checkpoint.

        The state is only read where it is needed: mostly the list is out and the promise done.
        """
        self._batcher.wake()
        actions = Actions()
        self._answer(user, read_state, actions)
        age, again = self._batcher.age(user), user in self._retry or user in self._not_asked
        not_asked = age is None and user in self._not_asked
        self._retry.discard(user)
        self._not_asked.discard(user)
        if age is None and user in self._armed and not again:
            self._armed.discard(user)
        elif age is not None and age * 1000 < self._settings.deadline_ms:
            actions.promise_ms = self._delay_ms(age)
        elif (state := actions.state or read_state()) is None or not list_is_owed(state):  # forgotten or erased since
            self._forget(user)
        elif not_asked:
            self._fall_back(Request(user, state, last_event_ms(state)), "failed", actions, again=True)
        elif age is not None:
            # who was in the batch that hangs is not scored again before the next event: it would hang again
            suspect = self._batcher.abandon(user)
            self._fall_back(Request(user, state, last_event_ms(state)), "deadline", actions, again=not suspect)
        elif listing(state) != SETTLED:
            self._submit(Request(user, state, last_event_ms(state)), actions, armed=False)
        else:
            self._fallen.pop(user, None)
        return actions

    def _answer(self, user: str, read_state: Callable[[], bytes | None], actions: Actions) -> None:
        """Emits what is ready: of anyone, or exactly once of `user` alone."""
        ready = self._batcher.drain()
        if self._not_asked or any(isinstance(done.result, NotAsked) for done in ready):
            ready = [done for done in ready if self._was_asked(done)]
        if self._exactly_once:
            self._held.update((done.user, done) for done in ready)
        elif ready:
            self._emit([(self._made(done), done.request) for done in ready], actions)
        if user in self._held and (state := read_state()) is not None:
            done, known = self._held.pop(user), listing(state)
            newest = version_of(done.request.state) == version_of(state)
            better = newest and known == LISTED and not isinstance(done.result, Exception)
            if known == 0 or better:
                self._emit([(self._made(done), done.request)], actions)
            if newest:
                actions.state = mark_listed(state, SETTLED)

    def _was_asked(self, done: Done[Request, Encoded]) -> bool:
        """Notes who was not: a promise can be set for no one but the user whose turn it is, so theirs must see to it."""
        if isinstance(done.result, NotAsked):
            self._not_asked.add(done.user)
            return False
        self._not_asked.discard(done.user)
        return True

    def _made(self, done: Done[Request, Encoded]) -> Encoded:
        self._fallen.pop(done.user, None)
        if not isinstance(done.result, Exception):
            return done.result
        self._sensors.on_fallback("failed")
        return self._fallback(done.request)

    def _apply(self, record: Record, state: bytes | None, actions: Actions, read_s: float) -> None:
        event = self._decode(record.user, record.value, record.broker_ms)
        if event.user_id != record.user:
            raise BadRecord("key_mismatch", "a record routed by its user_id", f"routed by {record.user!r}")
        done = step(state, event, self._session_gap_ms)
        self._sensors.on_record(done.outcome)
        if done.outcome != "applied":
            return
        self._sensors.on_event(event, done.version)
        actions.state = done.state
        if done.refresh:
            came = Came(record.broker_ms / 1000, read_s, self._clock_s())
            request = Request(event.user_id, done.state, int(event.event_time), event.event_id, event.traceparent, came)
            # the promise of a retry lies too far ahead for a new event: it gets one of its own
            soon = event.user_id in self._armed and event.user_id not in self._retry
            self._retry.discard(event.user_id)
            self._submit(request, actions, armed=soon)

    def _erase(self, record: Record, state: bytes | None, actions: Actions) -> None:
        if record.value is None:  # the tombstone of an erasure that was done
            self._sensors.on_record("erasure")
            return
        erasure = decode_erasure(record.user, record.value)
        actions.state = erase(state, erasure.requested_at)
        self._batcher.abandon(record.user)
        self._held.pop(record.user, None)
        self._fallen.pop(record.user, None)
        self._not_asked.discard(record.user)
        self._sensors.on_record("erasure")
        actions.outputs.append(Output("list", record.user.encode(), None))
        if list_is_owed(actions.state):  # what the shopper did since the request stays, and has its list
            request = Request(record.user, actions.state, last_event_ms(actions.state))
            self._submit(request, actions, armed=record.user in self._armed and record.user not in self._retry)

    def _refuse(self, record: Record, bad: BadRecord, actions: Actions) -> None:
        self._sensors.on_record("dead")
        self._sensors.on_dead_letter(bad.reason)
        key = record.user.encode() if record.raw_key is None else record.raw_key or None
        headers = DeadLetterHeaders(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            stage="VALUE_CONVERTER",
            reason=bad.reason,
            message=str(bad),
        )
        actions.outputs.append(Output("dead", key, record.value, headers.pairs()))

    def _submit(self, request: Request, actions: Actions, *, armed: bool) -> None:
        """`armed`: the user's promise of this process is still set, so no other is needed."""
        if self._batcher.submit(request.user_id, request):
            if not armed:
                self._armed.add(request.user_id)
                actions.promise_ms = self._delay_ms(0.0)
        else:
            self._fall_back(request, "refused", actions, again=True)

    def _fall_back(self, request: Request, cause: str, actions: Actions, *, again: bool) -> None:
        """The fallback list now and, with `again`, a promise that asks the model when it works again."""
        user, version, before = request.user_id, version_of(request.state), self._fallen.get(request.user_id)
        told = before is not None and before.version == version  # the same list, a moment ago
        if listing(request.state) == 0 and not told:
            self._sensors.on_fallback(cause)
            self._emit([(self._fallback(request), request)], actions)
        if self._exactly_once:
            actions.state = mark_listed(request.state, LISTED if again else SETTLED)
        if not again:
            self._armed.discard(user)
            self._fallen.pop(user, None)
        elif user not in self._retry:
            usual = self._settings.retry_after_ms
            after = min(2 * before.again_ms, PATIENT * usual) if before is not None and told else usual
            self._fallen[user] = Fallen(version, after)
            self._retry.add(user)
            self._armed.add(user)
            actions.promise_ms = after

    def _forget(self, user: str) -> None:
        self._batcher.abandon(user)
        self._armed.discard(user)
        self._fallen.pop(user, None)

    def _fallback(self, request: Request) -> Encoded:
        return encoded(self._lists.fallback(request), request, with_digest=self._with_digest)

    def _emit(self, lists: Sequence[tuple[Encoded, Request]], actions: Actions) -> None:
        self._sensors.on_lists(lists, self._clock_s())
        for made, request in lists:
            headers = {DIGEST_HEADER: made.state_digest.encode()} if made.state_digest else None
            actions.outputs.append(Output("list", request.user_id.encode(), made.value, headers))

    def _delay_ms(self, age_s: float) -> int:
        """Short while all is quick; long under a backlog or for one who has waited: timers cost a crossing each."""
        if self._batcher.waiting > BUSY:
            return self._settings.promise_busy_ms
        return self._settings.promise_idle_ms if age_s < YOUNG_S else 10 * self._settings.promise_idle_ms


def encoded(
    recommended: RecommendationList, request: Request, made: Made | None = None, *, with_digest: bool
) -> Encoded:
    """The list in bytes with what metrics and audits need."""
    arm = recommended.experiment.arm if recommended.experiment else NO_ARM
    fingerprint = digest(request.state) if with_digest else None
    return Encoded(encode_list(recommended), recommended.source, arm, recommended.event_time, made, fingerprint)
