"""The states of the shoppers who were active last, at hand: reading one from the engine crosses into Java and RocksDB."""

from collections.abc import Callable

# a state is served for twice this at most: who was idle for longer must be asked of the engine, which forgets
AGE_S = 600.0


class RecentStates:
    """What was last written for a user, by one writer. Two generations: the older one goes when the younger is full."""

    def __init__(self, users: int, clock_s: Callable[[], float], time_to_live_s: float = float("inf")) -> None:
        """Keeps `users` to twice as many; `clock_s` gives seconds. `time_to_live_s`: after it the engine forgets a
        state; it is not served from here for longer than half of that."""
        self._users, self._clock_s = users, clock_s
        self._age_s = min(AGE_S, time_to_live_s / 4)
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}
        self._since = clock_s()

    def get(self, user: str) -> bytes | None:
        """The state that was written last, or None: then the engine has to be asked."""
        if self._clock_s() - self._since > self._age_s:
            self._turn()
        state = self._young.get(user)
        return self._old.get(user) if state is None else state

    def put(self, user: str, state: bytes) -> None:
        """Remembers what is written to the engine now."""
        if len(self._young) >= self._users:
            self._turn()
        self._young[user] = state

    def _turn(self) -> None:
        now = self._clock_s()
        idle = now - self._since > 2 * self._age_s
        self._old, self._young, self._since = {} if idle else self._young, {}, now
