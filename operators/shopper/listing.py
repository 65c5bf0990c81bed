"""How far the list of a state's newest version is: two bits of its flags, which exactly-once delivery alone sets."""

from operators.shopper.state_layout import FLAGS_AT, LISTED, SETTLED, migrate


def listing(state: bytes) -> int:
    """0 owed, `LISTED` a fallback is out and the model will be asked again, `SETTLED` it is out."""
    return SETTLED if state[FLAGS_AT] & SETTLED else state[FLAGS_AT] & LISTED


def mark_listed(state: bytes, how: int) -> bytes:
    """The state after the list of its newest version went out; `how` as in `listing`."""
    record = bytearray(state)
    record[FLAGS_AT] |= how
    return bytes(record)


def owed_again(state: bytes) -> bytes:
    """The state as if the list of its newest version had never gone out."""
    record = bytearray(migrate(state))
    record[FLAGS_AT] &= ~(LISTED | SETTLED) & 0xFF
    return bytes(record)
