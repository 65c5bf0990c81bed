"""A cache of the stored states of recently active shoppers: reading one from the engine crosses into Java and RocksDB."""

from collections.abc import Callable, Mapping

# while events flow, a cached state is at most twice this old; the engine expires idle shoppers by the day
AGE_S = 600.0


class RecentStates:
    """The newest state of a user, for one writer. Two generations: the older one is dropped when the younger is full.

    The engine's half of the operator keeps the same two generations of names, and sends no state of a user in them.
    """

    def __init__(self, users: int, clock_s: Callable[[], float]) -> None:
        """Caches `users` states, and up to twice as many; `clock_s` gives seconds."""
        self._users, self._clock_s = users, clock_s
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}
        self._since = clock_s()

    def get(self, user: str) -> bytes | None:
        """The newest state of a user; None if it is not cached: then read it from the engine."""
        state = self._young.get(user)
        return self._old.get(user) if state is None else state

    def put_all(self, states: Mapping[str, bytes]) -> bool:
        """Caches states that are written to the engine now. Returns whether the older generation was dropped before."""
        drops = len(self._young) >= self._users or self._clock_s() - self._since > AGE_S
        if drops:
            self._old, self._young, self._since = self._young, {}, self._clock_s()
        self._young |= states
        return drops
