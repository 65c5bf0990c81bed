"""The state as bytes: what an earlier release wrote is read the same, and other bytes are refused."""

from collections.abc import Callable

import pytest

from operators.errors import LiveshelfError
from operators.feedback.join_limits import Limits
from operators.feedback.join_state import JoinState
from operators.feedback.waiting_list import Impression, ShownItem, WaitingList
from tests.builders import NOW_MS
from tests.operators.feedback.shopper import HOUR, MINUTE, Shopper, served
from tests.places import GOLDEN


def kept() -> Shopper:
    """One closed list, one that was shown and partly written, one that was acted on, one that nobody saw."""
    shopper = Shopper(limits=Limits(lists=2)).sees("i1", name="r0")
    shopper.gets(served("r1", "i1", "i2", "i3")).sees("i1", "i2", placement="home", since=-MINUTE)
    shopper.does("click", "i2", recommendation_id="r1").at(HOUR).sees("i3", "i1", position=2)
    shopper.does("purchase", "i1", recommendation_id="r1").does("click", "i9", recommendation_id="r2", position=8)
    return shopper.does("click", "i2", recommendation_id="r1").gets(
        served("r3", "i7", experiments=(), source="popular")
    )


def test_the_golden_state_of_layout_1_still_reads_the_same() -> None:
    """Made by `kept` on 2026-11-28. Never make it anew: that is what it guards."""
    golden = (GOLDEN / "feedback_join_1.bin").read_bytes()
    assert golden == kept().state
    state = JoinState.read(golden)
    assert (len(state.closed), [packed.items for packed in state.lists]) == (1, [3, 1, 0])
    waiting = WaitingList.read(state.lists[0])
    assert waiting.recommendation_id == "r1"
    assert waiting.impressions == [
        Impression(NOW_MS - MINUTE + 5, NOW_MS + 5, "home"),
        Impression(NOW_MS + HOUR, NOW_MS + HOUR, None),
    ]
    assert [*waiting.items.values()] == [
        ShownItem("i1", 0, 0, 1, label=3, written=2),
        ShownItem("i2", 1, 0, 0, label=1, late=1, written=1),
        ShownItem("i3", 2, 1, 1),
    ]
    assert state.pack() == golden


def test_nothing_to_remember_is_no_state() -> None:
    assert JoinState().pack() is None
    assert JoinState.read(None) == JoinState()


def test_what_is_remembered_comes_back() -> None:
    state = JoinState(refused=True, erased_ms=NOW_MS, epoch=2**32 - 1, wake_ms=NOW_MS + 1, closed=[1, 2**32 - 1])
    packed = state.pack()
    assert packed is not None
    assert JoinState.read(packed) == state


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b"",
        lambda b: b[:10],
        lambda b: b[:-1],
        lambda b: b + b"x",
        lambda b: b"\x02" + b[1:],
        lambda b: b[:40],
    ],
)
def test_a_damaged_state_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(LiveshelfError, match="a state of the feedback join"):
        JoinState.read(spoil(kept().state or b""))
