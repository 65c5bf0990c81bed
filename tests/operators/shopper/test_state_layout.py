"""States as bytes: one dtype names all of a record; those of earlier releases still read the same, damaged ones are refused."""

from collections.abc import Callable

import pytest

from operators.errors import LiveshelfError
from operators.shopper.state_layout import (
    HEADER,
    HISTORY,
    LAYOUT,
    SIZE,
    STATE,
    Header,
    migrate,
    read_states,
    stored,
    struct_of,
)
from operators.shopper.user_state import (
    digest,
    erase,
    erased_ms,
    id_hash,
    order_of,
    step,
)
from tests.builders import NOW_MS, event, state_after
from tests.operators.shopper.state_fields import fields
from tests.places import GOLDEN


def test_the_header_names_the_first_fields_of_a_record() -> None:
    names = STATE.names or ()
    assert names[: len(Header._fields)] == Header._fields
    record = bytearray(SIZE)
    header = Header(LAYOUT, *range(1, len(Header._fields)))
    HEADER.pack_into(record, 0, *header)
    assert Header(*HEADER.unpack_from(record)) == header
    assert tuple(fields(bytes(record))[name] for name in Header._fields) == header


def test_formats_follow_from_the_dtype() -> None:
    assert sum(struct_of(name).size for name in STATE.names or ()) == struct_of(*(STATE.names or ())).size == SIZE


def test_the_golden_state_of_layout_1_still_reads_the_same() -> None:
    """Made by `state_after` below in version 0.1.0. Never make it anew: that is what it guards."""
    kept = (GOLDEN / "state_layout_1.bin").read_bytes()
    made = state_after(
        event(0, item_id="i1"),
        event(1, "add_to_cart", item_id="i2"),
        event(2, "impression", items=["i3", "i4"]),
        event(3, "purchase", items=["i2", "i5"]),
        event(4, "consent", context={"personalisation": "denied"}),
    )
    assert order_of(kept) == (0, 4)
    assert digest(kept) == digest(without_epoch(made))
    assert migrate(kept) == without_epoch(made)


def test_the_golden_stored_state_still_reads_the_same() -> None:
    """The same shopper as the engine keeps them since 2026-11-26. Never make it anew."""
    kept = (GOLDEN / "state_stored_2.bin").read_bytes()
    record = (GOLDEN / "state_layout_1.bin").read_bytes()
    assert migrate(kept) == migrate(record)
    assert stored(kept) == kept
    assert digest(kept) == digest(record)


def test_the_golden_states_of_an_erased_user_still_read_the_same() -> None:
    """Of both forms before the epoch, with one step from after the erasure. Never make them anew."""
    for form in (1, 2):
        kept = migrate((GOLDEN / f"erased_layout_{form}.bin").read_bytes())
        assert (erased_ms(kept), order_of(kept)) == (NOW_MS + 7000, (0, 5))
        assert fields(kept)["item"][:2].tolist() == [id_hash("i9"), 0]
        assert step(kept, event(7)).outcome == "erased"
        assert step(kept, event(8)).outcome == "applied"


def test_the_golden_stored_state_with_an_epoch_still_reads_the_same() -> None:
    """Layout 4, before session ids. Never make it anew."""
    kept = (GOLDEN / "state_stored_4.bin").read_bytes()
    made = step(erase(None, NOW_MS + 1234), event(9, item_id="i9"), arrived_ms=NOW_MS + 9000).state
    assert migrate(kept) == made
    assert digest(kept) == digest(made)


def test_the_golden_stored_state_of_today_still_reads_the_same() -> None:
    """Layout 6, with what was bought and disliked and a session id. Never make it anew."""
    kept = (GOLDEN / "state_stored_6.bin").read_bytes()
    made = state_after(
        event(0, item_id="i1", session_id="s1"),
        event(1, "impression", items=["i3", "i4"], session_id="s1"),
        event(2, "purchase", items=["i2", "i5"], session_id="s1"),
        event(3, "rate", item_id="i6", rating=1, session_id="s2"),
    )
    assert migrate(kept) == made
    assert stored(made) == kept


def test_a_record_of_the_layout_before_is_read_with_all_that_it_held() -> None:
    old = bytearray(1023)
    old[0:2], old[4:8], old[8:12], old[12:16] = b"\x03\0", b"\7\0\0\0", b"\2\0\0\0", b"\3\0\0\0"
    old[16:18], old[18:20] = b"\2\0", b"\5\0"
    old[884:888], old[948:952], old[1008] = b"\1\2\3\4", b"\5\6\7\x08", 9
    record = fields(bytes(old))
    assert (record["version"], record["steps"], record["seen"], record["shown_at"], record["session"]) == (
        7,
        2,
        3,
        5,
        0,
    )
    assert (record["bought"][0], record["shown_item"][0], record["shown"][0]) == (0x04030201, 0x08070605, 9)
    assert not record["disliked"].any()


def without_epoch(state: bytes) -> bytes:
    record = read_states([state]).copy()
    record["epoch_s"] = 0
    return record.tobytes()


def test_a_shopper_of_few_steps_takes_few_bytes() -> None:
    assert len(stored(state_after(event(0)))) == 75
    assert len(stored(state_after(*(event(n, item_id=f"i{n}") for n in range(5))))) == 159
    assert len(stored(state_after(*(event(n, item_id=f"i{n}") for n in range(HISTORY))))) < SIZE


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b[:-1],
        lambda b: b + b"x",
        lambda b: b[:36] + b"\xff" * 14 + b[50:],
        lambda b: b[:40],
        lambda b: b"\x03" + b[1:],
        lambda b: b"\x02" + b[1:],
        lambda b: b"\x01" + b[1:],
        lambda b: b"\x04" + b[1:],
        lambda b: b"\x05" + b[1:],
        lambda b: b"\x07" + b[1:],
    ],
)
def test_a_stored_state_that_is_damaged_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(LiveshelfError, match="a user state of layout"):
        migrate(spoil(stored(state_after(event(0)))))
