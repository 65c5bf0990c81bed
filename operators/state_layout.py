"""The bytes of a user's state: one numpy dtype, its offsets, and the migration of older layouts."""

from typing import Any

import numpy as np
import numpy.typing as npt

from operators.errors import LiveshelfError

LAYOUT = 1
HISTORY = 50  # steps kept
EVENT_WINDOW = 24  # recent event ids kept, against duplicates
MAX_BOUGHT = 16
MAX_SHOWN = 15
# bits of `flags`; the last two say that a list of `version` is out, and that no better one
# will follow (exactly-once delivery alone sets them)
CONSENT_REFUSED, LISTED, SETTLED = 1, 2, 4

# `steps` and `seen` count all there ever were: the newest lies at (count - 1) % size of its ring.
# `bought_at` and `shown_at` are the next places of their rings. `bought` and `shown_item` hold the low 32 bits.
STATE = np.dtype(
    [
        ("layout", "u1"),
        ("flags", "u1"),
        ("session_events", "<u2"),
        ("version", "<u4"),
        ("steps", "<u4"),
        ("seen", "<u4"),
        ("bought_at", "<u2"),
        ("shown_at", "<u2"),
        ("last_event_ms", "<i8"),
        ("session_start_s", "<u4"),
        ("erased_at_s", "<u4"),
        ("item", "<u8", HISTORY),
        ("second", "<u4", HISTORY),
        ("kind", "u1", HISTORY),
        ("event_hash", "<u8", EVENT_WINDOW),
        ("bought", "<u4", MAX_BOUGHT),
        ("shown_item", "<u4", MAX_SHOWN),
        ("shown", "u1", MAX_SHOWN),
    ]
)
SIZE = STATE.itemsize
HEADER = "<BBHIIIHHqII"


def _offset(name: str) -> int:
    assert STATE.fields is not None
    return int(STATE.fields[name][1])


ITEMS_AT = _offset("item")
FLAGS_AT = _offset("flags")
SECONDS_AT = _offset("second")
KINDS_AT = _offset("kind")
EVENTS_AT = _offset("event_hash")
BOUGHT_AT = _offset("bought")
SHOWN_ITEMS_AT = _offset("shown_item")
SHOWN_COUNTS_AT = _offset("shown")

EMPTY = bytes([LAYOUT]) + bytes(SIZE - 1)


def migrate(state: bytes) -> bytes:
    """The state in the newest layout; raises `LiveshelfError` for a layout or size that was never released."""
    if state[0] == LAYOUT and len(state) == SIZE:
        return state
    raise LiveshelfError(
        f"a user state of layout {LAYOUT} ({SIZE} bytes)",
        f"layout {state[0]}, {len(state)} bytes",
        "start the job with the Liveshelf version that wrote this state, or newer",
    )


def read_states(states: list[bytes]) -> npt.NDArray[Any]:
    """Packed states -> one structured array of dtype `STATE`, shape [len(states)], without a copy per field."""
    return np.frombuffer(b"".join(map(migrate, states)), dtype=STATE)
