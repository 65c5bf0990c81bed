"""What crosses between `org.liveshelf.bridge.BatchedOperator` and Python: one MessagePack message each way for a batch.

To Python: an array of entries, each an array of the fields of `Entry`. Back: `Answer`; an entry is named
by its number. Keys and values cross as bytes, so no text from outside is decoded by Java.
"""

import msgspec

from operators.records.event_decode import key_bytes, key_text
from operators.refresh.refresh_records import BatchActions, InputRecord, Output, Turn
from operators.shopper.recent_states import RecentStates
from operators.shopper.state_layout import stored


class Entry(msgspec.Struct, array_like=True, gc=False):
    """A record, or a turn of a user without one, which ends at `timer_ms`: a timer fired, or Python wants it."""

    user: bytes | None
    state: bytes | bool | None  # counts in a user's first entry of a batch; None: a new user, False: it is cached here
    timer_ms: int | None  # epoch ms that a fired timer was set for; 0: Python wants a turn of this user; None: a record
    value: bytes | None = None
    topic: str = ""
    partition: int = 0
    offset: int = 0
    broker_ms: int = 0
    keyed: bool = False


# whether the older generation of cached states was dropped before these states joined the younger one; states; the users
# whose timer is taken back; timers; records for the sinks; the users who shall have an entry in another batch at once
Answer = tuple[bool, list[tuple[int, bytes]], list[bytes], list[tuple[int, int]], list[Output], list[bytes]]
_decode = msgspec.msgpack.Decoder(list[Entry]).decode
_encode = msgspec.msgpack.Encoder().encode


class Message:
    """A decoded batch: `turns` for `RefreshLogic.on_batch`."""

    def __init__(self, message: bytes, now_ms: int, recent: RecentStates) -> None:
        """`now_ms`: epoch ms; `recent`: the states of cached users. Raises `msgspec.MsgspecError` for what is no batch."""
        self._recent = recent
        self._entries: dict[str, int] = {}  # user -> number of the first entry
        self.turns: list[Turn] = []
        for number, entry in enumerate(_decode(message)):
            user = key_text(entry.user)
            state = None
            if user not in self._entries:
                self._entries[user] = number
                state = self._state(user, entry.state)
            if entry.timer_ms is None:
                self.turns.append(Turn(user, state, _record(user, entry)))
            else:
                late_ms = now_ms - entry.timer_ms if entry.timer_ms else None
                self.turns.append(Turn(user, state, None, late_ms))

    def _state(self, user: str, sent: bytes | bool | None) -> bytes | None:
        if isinstance(sent, bytes):
            return unwrapped(sent)
        state = self._recent.get(user)
        if (sent is False) != (state is not None):  # never begin a known user anew
            raise RuntimeError("the Java half's names of cached states are not those of the cache; the task restarts")
        return state

    def answer(self, actions: BatchActions) -> bytes:
        """The message back."""
        entries = self._entries
        stored_states = {user: stored(state) for user, state in actions.states.items()}
        states = [(entries[user], state) for user, state in stored_states.items()]
        promises = [(entries[user], delay_ms) for user, delay_ms in actions.promises.items()]
        drops = self._recent.put_all(stored_states)
        kept, wanted = ([key_bytes(user) for user in users] for users in (actions.kept, actions.wanted))
        answer: Answer = (drops, states, kept, promises, actions.outputs, wanted)
        return _encode(answer)


def unwrapped(value: bytes) -> bytes:
    """The state in a value that PyFlink's own operator wrote: a pickle of bytes (protocol 2 to 5). Read without `pickle`,
    which would run what a savepoint says. Other values are states already: none begins with 0x80.

    Raises `ValueError` for another pickle.
    """
    if value[:1] != b"\x80":
        return value
    at = 2
    if value[at : at + 1] == b"\x95":  # FRAME
        at += 9
    code, at = value[at : at + 1], at + 1
    width = {b"C": 1, b"B": 4, b"\x8e": 8}.get(code)  # SHORT_BINBYTES, BINBYTES, BINBYTES8
    if width is None:
        raise ValueError(f"expected a pickle of bytes; came opcode {code!r}. Next: restore a savepoint of this job")
    size = int.from_bytes(value[at : at + width], "little")
    state = value[at + width : at + width + size]
    if len(state) != size:
        raise ValueError(f"expected {size} bytes of state; came {len(state)}. Next: restore another savepoint")
    return state


def _record(user: str, entry: Entry) -> InputRecord:
    return InputRecord(user, entry.value, entry.topic, entry.partition, entry.offset, entry.broker_ms, entry.keyed)
