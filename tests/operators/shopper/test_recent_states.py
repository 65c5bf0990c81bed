"""States at hand are the ones that were written last, few, and not for long."""

from operators.shopper.recent_states import AGE_S, RecentStates


def test_the_newest_state_of_the_most_recent_users_is_kept() -> None:
    recent = RecentStates(2, lambda: 0.0)
    for user in "abcde":
        recent.put_all({user: b"old"})
    recent.put_all({"d": b"new"})
    assert [recent.get(user) for user in "abcdef"] == [None, None, b"old", b"new", b"old", None]


def test_a_user_who_comes_again_stays() -> None:
    recent = RecentStates(2, lambda: 0.0)
    for other in range(20):
        recent.put_all({"regular": str(other).encode()})
        recent.put_all({f"guest {other}": b"x"})
    assert recent.get("regular") == b"19"
    assert recent.get("guest 0") is None


def test_who_is_idle_is_forgotten_here_long_before_the_engine_forgets() -> None:
    now = [0.0]
    recent = RecentStates(100, lambda: now[0])
    recent.put_all({"idle": b"state"})
    for minute in range(1, 3 + int(2 * AGE_S / 60)):
        now[0] = 60.0 * minute
        recent.put_all({"busy": b"x"})
    assert recent.get("idle") is None
