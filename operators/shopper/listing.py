"""Whether the list of a state's newest version is out: two bits of its flags. Only exactly-once delivery sets them."""

from operators.shopper.state_layout import FLAGS_AT, LISTED, SETTLED, migrate


def listing(state: bytes) -> int:
    """0: the list is owed; `LISTED`: a fallback is out, and the model is asked again; `SETTLED`: the final list is out."""
    return SETTLED if state[FLAGS_AT] & SETTLED else state[FLAGS_AT] & LISTED


def mark_listed(state: bytes, progress: int) -> bytes:
    """The state after the list of its newest version went out; `progress` as in `listing`."""
    record = bytearray(state)
    record[FLAGS_AT] |= progress
    return bytes(record)


def owed_again(state: bytes) -> bytes:
    """The state as if the list of its newest version had never gone out."""
    record = bytearray(migrate(state))
    record[FLAGS_AT] &= ~(LISTED | SETTLED) & 0xFF
    return bytes(record)
