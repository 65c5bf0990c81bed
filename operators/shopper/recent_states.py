"""The states of the shoppers who were active last, at hand: reading one from the engine crosses into Java and RocksDB."""

from collections.abc import Callable

# while events flow, a state is served for twice this at most: the engine forgets idle shoppers by the day
AGE_S = 600.0


class RecentStates:
    """What was last written for a user, by one writer. Two generations: the older one goes when the younger is full."""

    def __init__(self, users: int, clock_s: Callable[[], float]) -> None:
        """Keeps `users` to twice as many; `clock_s` gives seconds."""
        self._users, self._clock_s = users, clock_s
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}
        self._since = clock_s()

    def get(self, user: str) -> bytes | None:
        """The state that was written last, or None: then the engine has to be asked."""
        state = self._young.get(user)
        return self._old.get(user) if state is None else state

    def put(self, user: str, state: bytes) -> None:
        """Remembers what is written to the engine now."""
        if len(self._young) >= self._users or self._clock_s() - self._since > AGE_S:
            self._old, self._young, self._since = self._young, {}, self._clock_s()
        self._young[user] = state
