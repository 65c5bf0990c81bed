"""What crosses between `org.liveshelf.bridge.BatchedOperator` and the feedback join: one MessagePack message each way for a
batch, as in `batch_messages.py`.

To Python: an array of entries. Back: the `Answer` of `batch_messages.py`; a state of None is cleared. Java sends the state
with each user's first entry: the join reads few users twice, so nothing is cached here.
"""

import msgspec

from operators.feedback.feedback_logic import FeedbackActions, FeedbackTurn
from operators.feedback.join_entries import JoinEntry
from operators.records.event_decode import key_bytes, key_text

FIELDS = 1  # of an entry after the user's own: `entry`
KIND = "example"  # of the outputs


class FeedbackEntry(msgspec.Struct, array_like=True, gc=False):
    """An entry of the refresh operator, or a fired timer (`timer_ms`: epoch ms that it was set for)."""

    user: bytes
    state: bytes | None  # counts in a user's first entry of a batch
    timer_ms: int | None
    entry: JoinEntry | None = None


_decode = msgspec.msgpack.Decoder(list[FeedbackEntry]).decode
_encode = msgspec.msgpack.Encoder().encode


class FeedbackMessage:
    """A decoded batch: `turns` for `FeedbackLogic.on_batch`."""

    def __init__(self, message: bytes) -> None:
        """Raises `msgspec.MsgspecError` for what is no batch."""
        self._entries: dict[str, int] = {}  # user -> number of the first entry
        self.turns: list[FeedbackTurn] = []
        for number, entry in enumerate(_decode(message)):
            user = key_text(entry.user)
            self._entries.setdefault(user, number)
            self.turns.append(FeedbackTurn(user, entry.state, entry.entry, entry.timer_ms or 0))

    def answer(self, actions: FeedbackActions) -> bytes:
        """The message back."""
        states = [(self._entries[user], state) for user, state in actions.states.items()]
        timers = [(self._entries[user], delay_ms) for user, delay_ms in actions.timers.items()]
        outputs = [(KIND, key_bytes(user), example, None) for user, example in actions.examples]
        return _encode((False, states, (), timers, outputs, ()))
