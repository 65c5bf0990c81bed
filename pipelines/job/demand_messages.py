"""What crosses between `org.liveshelf.bridge.BatchedOperator` and the demand operator: one MessagePack message each way for
a batch, as in `batch_messages.py`.

To Python: an array of entries. Back: the `Answer` of `batch_messages.py`. Java sends the state with each item's first entry.
"""

import msgspec

from operators.demand.demand_logic import DemandActions, DemandEntry, DemandTurn
from operators.records.event_decode import key_bytes, key_text

FIELDS = 1  # of an entry after the item's own: `entry`
KIND = "item"  # of the outputs


class ItemEntry(msgspec.Struct, array_like=True, gc=False):
    """An entry of the refresh operator, or a fired timer (`timer_ms`: epoch ms that it was set for)."""

    item: bytes
    state: bytes | None  # counts in an item's first entry of a batch
    timer_ms: int | None
    entry: DemandEntry | None = None


_decode = msgspec.msgpack.Decoder(list[ItemEntry]).decode
_encode = msgspec.msgpack.Encoder().encode


class DemandMessage:
    """A decoded batch: `turns` for `DemandLogic.on_batch`."""

    def __init__(self, message: bytes) -> None:
        """Raises `msgspec.MsgspecError` for what is no batch."""
        self._entries: dict[str, int] = {}  # item -> number of the first entry
        self.turns: list[DemandTurn] = []
        for number, entry in enumerate(_decode(message)):
            item = key_text(entry.item)
            self._entries.setdefault(item, number)
            self.turns.append(DemandTurn(item, entry.state, entry.entry))

    def answer(self, actions: DemandActions) -> bytes:
        """The message back."""
        states = [(self._entries[item], state) for item, state in actions.states.items()]
        timers = [(self._entries[item], delay_ms) for item, delay_ms in actions.timers.items()]
        outputs = [(KIND, key_bytes(item), record, None) for item, record in actions.records]
        return _encode((False, states, (), timers, outputs, ()))
